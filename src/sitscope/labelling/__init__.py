"""Are the labels of the fields right? Autoencoders of each class judge, and what they find is told."""
