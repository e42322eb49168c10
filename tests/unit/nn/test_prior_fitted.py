"""What attends to what, and the shares of labelled sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from claimbench.nn.prior_fitted import PriorFittedTransformer, block, labelled_size, schedule


def network(**options: int) -> PriorFittedTransformer:
    torch.manual_seed(0)
    net = PriorFittedTransformer(3, 5, 16, 2, 4, 32, **options)
    for part in net.blocks:  # away from the identity
        for layer in (part.attention.out, part.feed_forward.down):
            nn.init.normal_(layer.weight, std=0.3)
    return net.eval().requires_grad_(False)


def test_queries_see_labelled_points_and_themselves() -> None:
    net, x, y = network(), torch.randn(2, 9, 3), torch.randn(2, 6)
    whole = net(x, y)
    torch.testing.assert_close(net(x[:, :7], y)[:, 0], whole[:, 0], msg="other queries have no influence")
    order = torch.randperm(6)
    shuffled = torch.cat([x[:, :6][:, order], x[:, 6:]], 1)
    torch.testing.assert_close(net(shuffled, y[:, order]), whole, msg="the order of labelled points has none")
    changed = y.clone()
    changed[:, 2] += 1
    assert float((net(x, changed) - whole).abs().min(2).values.max()) > 0
    assert net(x, y[:, :0]).shape == (2, 9, 5), "no labelled point at all"
    positional = network(positions=9)
    assert float((positional(shuffled, y[:, order]) - positional(x, y)).abs().max()) > 1e-3


@pytest.mark.parametrize("itself", [True, False])
@pytest.mark.parametrize("labelled", [0, 6])
def test_the_last_block_answers_the_queries_alone(labelled: int, itself: bool) -> None:
    net, x, y = network(query_sees_itself=itself), torch.randn(2, 9, 3), torch.randn(2, labelled)
    tokens = net.encode_x(x)
    tokens = torch.cat([tokens[:, :labelled] + net.encode_y(y[..., None]), tokens[:, labelled:]], 1)
    for part in net.blocks:
        tokens = part(tokens, labelled=labelled)
    torch.testing.assert_close(net(x, y), net.head(tokens[:, labelled:]))


@pytest.mark.parametrize("itself", [True, False])
def test_the_attention_is_that_of_a_mask(itself: bool) -> None:
    torch.manual_seed(1)
    own, x, n = block(8, 2, 16, query_sees_itself=itself), torch.randn(3, 7, 8), 4
    attention, feed_forward = own.attention, own.feed_forward
    nn.init.normal_(attention.out.weight)
    nn.init.normal_(feed_forward.down.weight)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    theirs.in_proj_weight.data, theirs.in_proj_bias.data = attention.qkv.weight.data, attention.qkv.bias.data
    theirs.out_proj.weight.data, theirs.out_proj.bias.data = attention.out.weight.data, attention.out.bias.data
    hidden = torch.ones(7, 7, dtype=torch.bool)
    hidden[:, :n] = False
    if itself:
        hidden[range(n, 7), range(n, 7)] = False
    expected = own.norms[0](x + theirs(x, x, x, attn_mask=hidden, need_weights=False)[0])
    expected = own.norms[1](expected + feed_forward.down(torch.nn.functional.gelu(feed_forward.up(expected))))
    torch.testing.assert_close(own(x, labelled=n), expected)


def test_dropout_is_that_of_torchs_layer() -> None:
    """In the weights of attention too."""
    torch.manual_seed(2)
    x, n = torch.randn(1, 6, 8), 4
    for itself in (True, False):
        own = block(8, 2, 16, dropout=0.5, query_sees_itself=itself)
        nn.init.normal_(own.attention.out.weight)
        torch.testing.assert_close(own.eval()(x, labelled=n), own(x, labelled=n))
        own.train()
        own.dropout.forward = lambda value: value
        different = (own(x, labelled=n) - own(x, labelled=n)).abs().amax((0, 2))
        assert bool((different > 0).all()), "labelled points and queries"


def test_it_starts_without_looking_at_the_labels() -> None:
    torch.manual_seed(0)
    net = PriorFittedTransformer(3, 5, 16, 2, 4, 32)
    x = torch.randn(2, 5, 3)
    torch.testing.assert_close(net(x, torch.zeros(2, 3)), net(x, torch.randn(2, 3)))


def test_labelled_sizes_give_every_size_as_many_queries() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.tensor([labelled_size(8, generator) for _ in range(40_000)])
    queries = torch.bincount(drawn, minlength=8) * (8 - torch.arange(8))
    assert float(queries.float().std() / queries.float().mean()) < 0.05


def test_the_schedule() -> None:
    rates = [schedule(step, 100, 2.0) for step in range(100)]
    assert max(rates) == pytest.approx(2.0)
    assert rates.index(max(rates)) in (24, 25)
    assert rates[0] == pytest.approx(2.0 / 25)
    assert rates[-1] < 0.01
