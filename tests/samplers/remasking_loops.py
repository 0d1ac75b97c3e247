"""Ancestral sampling and re-masking as plain loops over one row (`plain.PlainRow`), as their papers state them."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.special import softmax


def ancestral(row, steps):
    """Every one of the T steps is taken, with the reveal times of a position drawn in advance."""
    reveal = [math.floor(u * steps) for u in row.uniform("reveal")]
    for k in range(steps):
        chosen = [i for i in row.masked if reveal[i] == k]
        draws = row.draws(row.logp()) if chosen else []
        row.apply({i: draws[i] for i in chosen})


def nucleus(logp, top_p):
    """The fewest likeliest tokens whose probability reaches `top_p`, renormalised."""
    out = np.full_like(logp, -np.inf)
    for i, line in enumerate(logp):
        mass = 0.0
        for token in sorted(range(len(line)), key=lambda v: (-line[v], v)):
            out[i, token] = line[token]
            mass += math.exp(line[token])
            if mass >= top_p:
                break
        out[i] -= math.log(mass)
    return out


def remdm(row, steps, strategy, eta, t_on=0.55, t_off=0.05, alpha_on=0.9, top_p=1.0):
    """The released update, position by position, with σ held at σ_max and a last step that unmasks all."""

    def alpha(t):
        if strategy != "loop":
            return 1 - t
        if t > t_on:
            return (1 - t) * alpha_on / (1 - t_on)
        return alpha_on if t > t_off else 1 - t * (1 - alpha_on) / t_off

    psi = {}
    for k in range(steps):
        t, s = (steps - k) / steps, (steps - k - 1) / steps
        a_t, a_s = alpha(t), alpha(s)
        most = 1.0 if a_t == 0 else min(1.0, (1 - a_s) / a_t)
        visible = row.visible
        sigma = dict.fromkeys(row.visible + row.masked, 0.0)
        if strategy == "conf":
            sigma |= dict(zip(visible, most * softmax([-psi[i] for i in visible]), strict=True)) if visible else {}
        elif a_t > 0:
            once = {
                "cap": eta,
                "rescale": eta * most,
                "loop": eta if t_off < t <= t_on else 0.0,
                "forward_backward": (a_s - a_t) / a_t,
                "dfm": 10 * t**0.25 * (1 - t) ** 0.25 * (a_s / a_t - 1),
            }[strategy]
            sigma = {i: min(once, most) for i in sigma}
        flip = row.uniform("flip")
        unmask = {i: (a_s - (1 - sigma[i]) * a_t) / (1 - a_t) for i in row.masked}
        commit = [i for i in row.masked if k == steps - 1 or flip[i] < unmask[i]]
        remask = [i for i in visible if k < steps - 1 and flip[i] < sigma[i]]
        draws = []
        if commit:
            logp = row.logp()
            logp = nucleus(logp, top_p) if top_p < 1 else logp
            draws = row.draws(logp)
            psi |= {i: math.exp(logp[i, draws[i]]) for i in commit}
        row.apply({i: draws[i] for i in commit}, remask)


def p2(row, steps, eta, score):
    size = len(row.masked)
    for i in range(1, steps + 1):
        logp = row.logp()
        fresh = row.draws(logp)
        masked, visible = row.masked, row.visible
        value = {j: (logp[j, fresh[j]], 0) for j in masked}
        for j in visible:
            token = fresh[j] if score == "fresh" else row.tokens[j]
            value[j] = (eta * logp[j, token], 1)
        low = sorted(value, key=lambda j: (*value[j], j))[: size * (steps - i) // steps]
        row.apply({j: fresh[j] for j in masked if j not in low}, [j for j in visible if j in low])


def rcr(row, steps, kind, block):
    """The released loop: a count of transfers for each step of a block, everything left is committed, and the rest of
    the schedule is masked again by the remembered confidence."""
    places = row.masked
    width = block or len(places)
    parts = [places[i : i + width] for i in range(0, len(places), width)]
    each = steps // len(parts)
    remembered = {}
    for part in parts:
        gone = [len(part) - len(part) * (each - i - 1) // each for i in range(each)]
        transfers = [gone[0], *np.diff(gone)]
        for i in range(each):
            reached = [j for j in places if j <= part[-1]]
            masked = [j for j in row.masked if j in reached]
            assert len(masked) == sum(transfers[i:])
            if not masked:
                continue
            logp = row.logp()
            draws = row.draws(logp)
            p = np.exp(logp)
            for j in masked:
                two = np.sort(p[j])[-2:]
                remembered[j] = {
                    "probability": p[j, draws[j]],
                    "entropy": -stats.entropy(p[j]),
                    "margin": two[1] - two[0],
                }[kind]
            low = sorted(reached, key=lambda j: (remembered[j], j))[: sum(transfers[i + 1 :])]
            commit = {j: draws[j] for j in masked if j not in low}
            row.apply(commit, [j for j in low if j not in masked])


def t2m(row, tau, rule, block, threshold, max_remasks=1, ratio=0.25, least=0, post_steps=16):
    """The released loop over blocks with the M2T step and the remask step."""
    places = row.masked
    width = block or len(places)
    for part in [places[i : i + width] for i in range(0, len(places), width)]:
        counts, before, post = dict.fromkeys(part, 0), {}, 0
        while True:
            masked = [i for i in part if row.tokens[i] == row.mask]
            post += not masked
            if post > post_steps:
                break
            logp = row.logp()
            draws, p = row.draws(logp), np.exp(logp)
            sure = p.max(-1)
            fill = [i for i in masked if sure[i] > tau] or sorted(masked, key=lambda i: (-sure[i], i))[:1]
            editable = [i for i in part if i not in masked]
            now = {i: p[i, row.tokens[i]] for i in editable} | {i: p[i, draws[i]] for i in fill}
            if rule == "low_prob":
                flagged = {i: now[i] for i in editable if now[i] < threshold}
            elif rule == "t2t_remask":
                best = logp.argmax(-1)
                flagged = {i: 1 - sure[i] for i in editable if sure[i] > threshold and best[i] != row.tokens[i]}
            else:
                flagged = {i: now[i] - before[i] for i in editable if before[i] - now[i] > threshold}
            flagged = {i: score for i, score in flagged.items() if counts[i] < max_remasks}
            most = max(least, math.floor(ratio * len(editable)))
            remask = sorted(flagged, key=lambda i: (flagged[i], i))[:most]
            for i in remask:
                counts[i] += 1
            before = now
            row.apply({i: draws[i] for i in fill}, remask)
            if not masked and not remask:
                break
