"""Other masked language models by configuration: causal layouts read both ways, transformers' own, and remote code."""

import json

import pytest
import torch
import transformers
from checkpoints import TEXT, write_llada
from safetensors.torch import load_file, save_file
from support import jobs, run
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from harness.components import load_model, resolve_model
from harness.errors import UserError
from harness.models.base import Inputs
from harness.models.text.hf_masked import hf_masked, revision
from harness.task import Request

SIZES = {"hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4}
VOCABULARY = 320
MODELING = """
import torch
from transformers import PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import MaskedLMOutput


class OddConfig(PretrainedConfig):
    model_type = "odd"

    def __init__(self, vocab_size=320, **kwargs):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size


class OddModel(PreTrainedModel):
    config_class = OddConfig

    def __init__(self, config):
        super().__init__(config)
        self.table = torch.nn.Parameter(torch.zeros(config.vocab_size, config.vocab_size))
        self.post_init()

    def forward(self, input_ids, attention_mask=None):
        mixed = (self.table[input_ids] * attention_mask[..., None]).sum(1, keepdim=True)
        return MaskedLMOutput(logits=mixed + self.table[input_ids])
"""


def write_tokenizer(folder, **special):
    words = Tokenizer(models.BPE(unk_token="[UNK]"))
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    names = ["[UNK]", "[PAD]", "[MASK]", "[END]"]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=names, show_progress=False)
    words.train_from_iterator([TEXT], trainer)
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="[UNK]", pad_token="[PAD]", eos_token="[END]", **special
    )
    fast.save_pretrained(folder)


def causal(folder, kind, **sizes):
    torch.manual_seed(7)
    config = getattr(transformers, f"{kind}Config")(
        **SIZES, vocab_size=VOCABULARY, num_key_value_heads=2, eos_token_id=3, pad_token_id=1, **sizes
    )
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=float(parameter.dim() == 1), std=0.3)
    model.save_pretrained(folder)
    write_tokenizer(folder, mask_token="[MASK]")
    return model


def some_inputs(mask_id=2):
    tokens = torch.randint(4, VOCABULARY, (2, 9), generator=torch.Generator().manual_seed(1))
    tokens[:, 5:] = mask_id
    return Inputs(tokens, torch.ones_like(tokens, dtype=torch.bool), torch.arange(9).repeat(2, 1))


def logits_of(model, inputs):
    logits = model.logits(inputs, torch.arange(inputs.tokens.numel()))[0].view(*inputs.tokens.shape, -1)
    return torch.cat([logits[..., :2], logits[..., 3:]], dim=-1)  # without the mask token, 2


@pytest.mark.parametrize(("kind", "sizes"), [("Llama", {}), ("Qwen2", {}), ("Qwen3", {"head_dim": 16})])
def test_a_causal_layout_sees_both_ways(tmp_path, kind, sizes):
    theirs = causal(tmp_path, kind, **sizes)
    ours = hf_masked(pretrained=str(tmp_path), layout=kind.lower(), dtype="float32")
    assert (ours.mask_id, ours.eos_ids) == (2, frozenset({3}))
    inputs = some_inputs()
    with torch.no_grad():
        full = torch.zeros(2, 1, 9, 9)  # a mask of four dimensions is taken as it is, and hides nothing
        expected = theirs(inputs.tokens, attention_mask=full, position_ids=inputs.positions).logits
    expected = torch.cat([expected[..., :2], expected[..., 3:]], dim=-1)
    torch.testing.assert_close(logits_of(ours, inputs), expected, rtol=1e-4, atol=1e-4)
    shifted = hf_masked(pretrained=str(tmp_path), layout=kind.lower(), dtype="float32", shift=True)
    moved = torch.cat([expected[:, :1], expected[:, :-1]], dim=1)
    torch.testing.assert_close(logits_of(shifted, inputs), moved, rtol=1e-4, atol=1e-4)


def test_tensors_of_other_names_are_found_by_a_file_of_beginnings(tmp_path):
    causal(tmp_path, "Llama")
    plain = logits_of(hf_masked(pretrained=str(tmp_path), layout="llama", dtype="float32"), some_inputs())
    weights = load_file(tmp_path / "model.safetensors")
    renamed = {key.replace("model.layers", "encoder.blocks").replace("lm_head", "out"): t for key, t in weights.items()}
    save_file(renamed, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"missing: lm_head\.weight.*unexpected: encoder\.blocks"):
        hf_masked(pretrained=str(tmp_path), layout="llama")
    keys = tmp_path / "names.json"
    keys.write_text(json.dumps({"encoder.blocks": "model.layers", "out.": "lm_head."}))
    model = hf_masked(pretrained=str(tmp_path), layout="llama", keys=str(keys), dtype="float32")
    torch.testing.assert_close(logits_of(model, some_inputs()), plain)


def test_a_masked_language_model_of_transformers(tmp_path):
    torch.manual_seed(8)
    config = transformers.BertConfig(**SIZES, vocab_size=VOCABULARY, max_position_embeddings=40, pad_token_id=1)
    theirs = transformers.BertForMaskedLM(config).eval()
    theirs.save_pretrained(tmp_path)
    write_tokenizer(tmp_path, mask_token="[MASK]")
    spec = resolve_model("hf_masked", {"pretrained": str(tmp_path), "dtype": "float32"}, "test")
    ours = load_model(spec, "cpu")
    inputs = some_inputs()
    inputs.valid[1, 7:] = False
    with torch.no_grad():
        expected = theirs(inputs.tokens, attention_mask=inputs.valid.long()).logits
    expected = torch.cat([expected[..., :2], expected[..., 3:]], dim=-1)
    torch.testing.assert_close(logits_of(ours, inputs), expected, rtol=1e-4, atol=1e-5)
    (job,) = jobs("threshold", 1)
    (made,) = run(ours, [job.__class__(**{**job.__dict__, "request": Request("0", prompt="The quick", length=6)})])
    assert len(made.output.tokens) == 6
    assert (made.cost.flops, ours.capabilities) == (None, frozenset({"guidance", "likelihood"}))


def odd_checkpoint(folder):
    folder.mkdir()
    (folder / "modeling_odd.py").write_text(MODELING)
    auto_map = {"AutoConfig": "modeling_odd.OddConfig", "AutoModelForMaskedLM": "modeling_odd.OddModel"}
    content = {"model_type": "odd", "architectures": ["OddModel"], "auto_map": auto_map, "vocab_size": VOCABULARY}
    (folder / "config.json").write_text(json.dumps(content))
    table = torch.randn(VOCABULARY, VOCABULARY, generator=torch.Generator().manual_seed(9))
    save_file({"table": table}, folder / "model.safetensors", {"format": "pt"})
    write_tokenizer(folder, mask_token="[MASK]")
    return table


def revise(folder, **changes):
    defaults = {"hub_revision": "", "layout": "auto", "keys": "", "mask_id": None, "end_of_turn": "", "chat": False}
    defaults |= {"bos": False, "dtype": "float32", "trust_remote_code": False, "shift": False}
    return revision(pretrained=str(folder), **{**defaults, **changes})


def test_remote_code_runs_only_where_it_is_allowed(tmp_path, monkeypatch):
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "odd"
    table = odd_checkpoint(folder)
    with pytest.raises(
        UserError, match=r"comes with code of its own\. Read it, and allow it with trust_remote_code=true"
    ):
        revise(folder)
    with pytest.raises(UserError, match="cannot be loaded as AutoModelForMaskedLM"):
        hf_masked(pretrained=str(folder), dtype="float32")
    assert len(revise(folder, trust_remote_code=True)) == 16
    model = hf_masked(pretrained=str(folder), dtype="float32", trust_remote_code=True)
    inputs = some_inputs()
    rows = table[inputs.tokens]
    expected = rows + rows.sum(1, keepdim=True)
    torch.testing.assert_close(logits_of(model, inputs), torch.cat([expected[..., :2], expected[..., 3:]], dim=-1))


def test_mistakes_are_named(tmp_path):
    causal(tmp_path, "Llama")
    with pytest.raises(UserError, match=r"layout is 'lama'\. Did you mean 'llama'"):
        revise(tmp_path, layout="lama")
    with pytest.raises(UserError, match="it must be a token below 320"):
        revise(tmp_path, layout="llama", mask_id=320)
    (tmp_path / "keys.json").write_text("[1]")
    with pytest.raises(UserError, match="must hold beginnings of names"):
        revise(tmp_path, layout="llama", keys=str(tmp_path / "keys.json"))
    folder = write_llada(tmp_path / "bare")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(UserError, match="has no tokenizer that can be read"):
        revise(folder, trust_remote_code=True)
