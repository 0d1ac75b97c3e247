"""A denoiser of a few positions that is a table, and its bound by enumeration, by subsets, by quadrature."""

import math
from itertools import combinations, permutations

import torch

LENGTH, VALUES = 5, 3
LOG_RATES = torch.tensor([0.9, -0.5, 0.3, -0.9, 0.2], dtype=torch.float64)
TOKENS = torch.tensor([0, 2, 1, 1, 0])


class Lookup:
    """Log-probabilities for each set of seen positions, whatever is seen there: `logits` (2^L, L, V) float64."""

    def __init__(self, length=LENGTH, values=VALUES, seed=0):
        generator = torch.Generator().manual_seed(seed)
        shape = (2**length, length, values)
        self.logits = 1.5 * torch.randn(shape, generator=generator, dtype=torch.float64)

    def __call__(self, tokens, masked):
        place = 2 ** torch.arange(masked.shape[1])
        return self.logits[(~masked * place).sum(dim=1)].log_softmax(-1)

    def nats(self, seen, position, tokens=TOKENS):
        """−log-probability of the true token at `position` where the positions in `seen` are visible."""
        index = sum(2**i for i in seen)
        return -self.logits[index].log_softmax(-1)[position, tokens[position]]


def by_enumeration(lookup, log_rates=LOG_RATES):
    """Σ over all orders of P(order), by Plackett and Luce, times the nats along it."""
    rates, total = log_rates.exp(), 0.0
    for order in permutations(range(len(rates))):
        chance, nats = 1.0, 0.0
        for i, position in enumerate(order):
            chance = chance * rates[position] / rates[list(order[i:])].sum()
            nats = nats + lookup.nats(order[:i], position)
        total = total + chance * nats
    return total


def by_subsets(lookup, log_rates=LOG_RATES):
    """The same by dynamic programming over the sets of positions that are seen."""
    rates, everything = log_rates.exp(), range(len(log_rates))
    chance, total = {frozenset(): 1.0}, 0.0
    for size in everything:
        for seen in map(frozenset, combinations(everything, size)):
            left = [i for i in everything if i not in seen]
            for position in left:
                step = chance[seen] * rates[position] / rates[left].sum()
                total = total + step * lookup.nats(seen, position)
                after = seen | {position}
                chance[after] = chance.get(after, 0.0) + step
    return total


def by_quadrature(lookup, log_rates, tokens=TOKENS, start=1e-3):
    """The bound of a row whose values have rates (L, V): equation 8 with GenMD4's terms, integrated over s = −log t up
    to t = `start`, where what is still masked comes all at once."""
    everything, rates = range(len(tokens)), log_rates.exp()
    own = rates[torch.arange(len(tokens)), tokens]
    s = torch.linspace(0, -math.log(start), 50_001, dtype=torch.float64)
    masked = torch.exp(-own * s[:, None])  # (times, L): the chance that each position is masked
    total = 0.0
    for size in everything:
        for seen in combinations(everything, size):
            left = [i for i in everything if i not in seen]
            chance = masked[:, left].prod(1) * (1 - masked[:, list(seen)]).prod(1)
            logp = lookup.logits[sum(2**i for i in seen)].log_softmax(-1)
            nats = {i: lookup.nats(seen, i, tokens) for i in left}
            rate = sum(own[i] * (nats[i] - 1) + (rates[i] * logp[i].exp()).sum() for i in left)
            total = total + torch.trapezoid(chance, s) * rate + chance[-1] * sum(nats.values())
    return total
