"""Mixing several training sets."""

import torch


def epoch_length(lengths: list[int]) -> int:
    """Samples per epoch of tables of the given lengths, see `mixed_order`."""
    return len(lengths) * max(lengths)


def mixed_order(lengths: list[int], shuffle: bool, generator: torch.Generator) -> torch.Tensor:
    """Row numbers of one epoch over concatenated tables of the given lengths.

    One table: each row once, shuffled or not. Several tables: as in the release, a table is drawn uniformly for every
    sample and shorter ones are repeated, len(lengths) * max(lengths) samples in all; each table's rows come round in
    turn, in a new shuffled order every time.
    """
    if len(lengths) == 1:
        return torch.randperm(lengths[0], generator=generator) if shuffle else torch.arange(lengths[0])
    total = epoch_length(lengths)
    chosen = torch.randint(len(lengths), (total,), generator=generator)
    rows = torch.empty(total, dtype=torch.int64)
    offset = 0
    for index, length in enumerate(lengths):
        places = (chosen == index).nonzero().squeeze(1)
        rounds = -(-len(places) // length)
        turns = [
            torch.randperm(length, generator=generator) if shuffle else torch.arange(length) for _ in range(rounds)
        ]
        rows[places] = torch.cat([*turns, torch.empty(0, dtype=torch.int64)])[: len(places)] + offset
        offset += length
    return rows
