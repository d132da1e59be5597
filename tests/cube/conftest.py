"""Small scenes and the table of mistakes are modules of this folder, for tests here and elsewhere."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
