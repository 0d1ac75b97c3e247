"""Codecs of images: pictures to grids of codes and back."""
