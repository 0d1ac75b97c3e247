"""Tasks of lm-evaluation-harness as tasks of this one: `lm_eval:gsm8k`."""
