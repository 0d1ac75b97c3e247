"""Our models and samplers as a model of lm-evaluation-harness: `--model mdm`."""

from __future__ import annotations

NAME = "mdm"


def register() -> None:
    """Make the model `mdm` known to lm-eval, which has no mechanism for plug-ins to do so themselves."""
    import lm_eval.models  # noqa: F401  # else lm-eval, finding a model there, would not add its own
    from lm_eval.api.registry import model_registry

    if NAME not in model_registry:
        model_registry.register(NAME, target="harness.lm_model.model:MaskedDiffusionLM")
