"""Grad-SLAM as fast as embedding: machine code written for the shapes of one network, the same answers."""
