"""Where the shores meet: cube, model and codebook to maps and class profiles."""
