"""mdm-harness: how much quality does a masked-diffusion sampler give for how much compute?"""

__version__ = "0.1.0"
