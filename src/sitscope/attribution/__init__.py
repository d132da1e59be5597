"""Which dates does an embedding look at? Grad-SLAM and its choices, for any torch encoder and usable alone."""
