"""Rows with known errors: as many as asked for, each by itself."""

import pytest
import torch
from support import HashDenoiser

from harness.bench.injection import Setting, clean_rows, inject
from harness.errors import UserError
from harness.models.digits import digits
from harness.models.digits_data import digits_split
from harness.models.exact import chain, parity


@pytest.mark.parametrize(
    ("ratio", "share", "visible", "errors"), [(0, 0.1, 32, 3), (0.5, 0.25, 16, 4), (0.75, 0.01, 8, 1)]
)
def test_the_stated_shares_are_masked_and_wrong(ratio, share, visible, errors):
    model = chain(visible="one_hot")
    rows = clean_rows(model, "exact/chain", 20)
    injected = inject(model, rows, Setting(ratio, share, 8, 0))
    clean = torch.stack([row.tokens for row in rows])
    assert (injected.canvas.visible.sum(1) == visible).all()
    assert (injected.wrong.sum(1) == errors).all()
    shown = injected.canvas.visible
    assert torch.equal(injected.wrong, shown & (injected.canvas.tokens != clean))
    assert injected.canvas.tokens[shown].max() < model.mask_id


def test_a_wrong_token_is_uniform_among_the_others():
    model = chain(vocab=5, length=32)
    rows = clean_rows(model, "exact/chain", 200)
    injected = inject(model, rows, Setting(0, 0.9, 4, 0))
    clean = torch.stack([row.tokens for row in rows])
    count = ((injected.canvas.tokens - clean) % 5)[injected.wrong].bincount(minlength=5).double()
    assert count[0] == 0
    expected = injected.wrong.sum() / 4
    assert ((count[1:] - expected) ** 2 / expected).sum() < 16.27  # chi-square with 3 degrees of freedom, p = 0.001


def test_a_row_is_the_same_in_any_company_and_a_seed_changes_it():
    model = parity(vocab=3)
    rows, setting = clean_rows(model, "exact/parity", 12), Setting(0.5, 0.2, 8, 3)
    together = inject(model, rows, setting)
    alone = inject(model, clean_rows(model, "exact/parity", 5)[4:], setting)
    assert torch.equal(together.canvas.tokens[4:5], alone.canvas.tokens)
    other = inject(model, rows, Setting(0.5, 0.2, 8, 4))
    assert not torch.equal(together.canvas.visible, other.canvas.visible)


def test_the_decoding_leads_to_the_canvas_step_by_step():
    model = chain()
    injected = inject(model, clean_rows(model, "exact/chain", 6), Setting(0.25, 0.1, 8, 0))
    assert injected.steps == 6
    assert (injected.before(0) == model.mask_id).all()
    assert torch.equal(injected.before(6), injected.canvas.tokens)
    for step in range(6):
        new = (injected.before(step) != injected.before(step + 1)).sum(1)
        assert (new == 4).all()


def test_digits_are_test_images_with_their_labels():
    rows, split = clean_rows(digits(), "digits", 3), digits_split()
    assert [row.tokens.tolist() for row in rows] == split.test_images[:3].tolist()
    assert [row.request.condition["label"] for row in rows] == split.test_labels[:3].tolist()


def test_what_has_no_clean_rows_is_refused():
    with pytest.raises(UserError, match=r"--models other: .* exact/\* or digits"):
        clean_rows(HashDenoiser(), "other", 2)
    with pytest.raises(UserError, match="360 test images"):
        clean_rows(digits(), "digits", 361)
