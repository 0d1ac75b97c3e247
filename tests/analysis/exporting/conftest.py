"""Tasks of lm-eval in local files."""

from lm_eval_local import cache, write

__all__ = ["cache", "write"]
