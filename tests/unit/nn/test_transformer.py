"""The transformer's parts against torch's own, and patches against a convolution."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from claimbench.nn import transformer

WIDTH, HEADS, INNER = 8, 2, 12


def seeded(make: Any) -> Any:
    torch.manual_seed(3)
    return make()


def tokens(length: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(3, length, WIDTH, generator=torch.Generator().manual_seed(seed))


def copied(own: transformer.Attention, theirs: nn.MultiheadAttention) -> None:
    """Other biases than zero, in both."""
    for mine, value in ((own.bias, theirs.in_proj_bias), (own.out.bias, theirs.out_proj.bias)):
        nn.init.normal_(mine)
        value.data = mine.data


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("padded", [False, True])
def test_attention_is_torchs(causal: bool, padded: bool) -> None:
    own = seeded(lambda: transformer.Attention(WIDTH, HEADS, causal=causal))
    theirs = seeded(lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True))
    torch.testing.assert_close(own.weight, theirs.in_proj_weight, msg="drawn in the same order")
    torch.testing.assert_close(own.out.weight, theirs.out_proj.weight)
    copied(own, theirs)
    x, padding = tokens(), None
    if padded:
        padding = torch.zeros(3, 5, dtype=torch.bool)
        padding[1, 3:] = True
    mask = transformer.causal_mask(5) if causal else None
    expected, _ = theirs(x, x, x, attn_mask=mask, key_padding_mask=padding, need_weights=False)
    torch.testing.assert_close(own(x, padding=padding), expected)


def test_cross_attention_is_torchs() -> None:
    own = seeded(lambda: transformer.Attention(WIDTH, HEADS))
    theirs = seeded(lambda: nn.MultiheadAttention(WIDTH, HEADS, batch_first=True))
    copied(own, theirs)
    x, given = tokens(), tokens(7, seed=1)
    torch.testing.assert_close(own(x, given), theirs(x, given, given, need_weights=False)[0])


def test_dropout_of_the_weights_is_torchs_and_ends_with_training() -> None:
    own = seeded(lambda: transformer.Attention(WIDTH, HEADS, dropout=0.5))
    theirs = seeded(lambda: nn.MultiheadAttention(WIDTH, HEADS, dropout=0.5, batch_first=True))
    x = tokens()
    found, expected = seeded(lambda: own(x)), seeded(lambda: theirs(x, x, x, need_weights=False)[0])
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(own(x), own(x))
    torch.testing.assert_close(own.eval()(x), own(x))


def block(pre_norm: bool, cross: bool = False, dropout: float = 0.0) -> transformer.Block:
    asked = transformer.Attention(WIDTH, HEADS, dropout) if cross else None
    return transformer.Block(
        WIDTH,
        transformer.Attention(WIDTH, HEADS, dropout),
        transformer.FeedForward(WIDTH, INNER, F.relu, dropout),
        asked,
        pre_norm=pre_norm,
        dropout=dropout,
    )


def give(own: transformer.Block, theirs: Any) -> None:
    """The block's weights, all of them moved away from where they start, to torch's layer."""
    for value in own.parameters():
        nn.init.normal_(value, std=0.5)
    pairs = [(own.attention, theirs.self_attn)]
    if own.cross is not None:
        pairs.append((own.cross, theirs.multihead_attn))
    for mine, value in pairs:
        value.in_proj_weight.data, value.in_proj_bias.data = mine.weight.data, mine.bias.data
        value.out_proj.load_state_dict(mine.out.state_dict())
    theirs.linear1.load_state_dict(own.feed_forward.up.state_dict())
    theirs.linear2.load_state_dict(own.feed_forward.down.state_dict())
    for index, normal in enumerate(own.norms, 1):
        getattr(theirs, f"norm{index}").load_state_dict(normal.state_dict())


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_block_is_torchs_encoder_layer(pre_norm: bool) -> None:
    own = block(pre_norm)
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, batch_first=True, norm_first=pre_norm)
    give(own, theirs)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[0, 4:] = True
    x = tokens().requires_grad_()
    found, expected = own(x, padding=padding), theirs(x, src_key_padding_mask=padding)
    torch.testing.assert_close(found, expected)
    (mine,) = torch.autograd.grad(found.square().sum(), x)
    (other,) = torch.autograd.grad(expected.square().sum(), x)
    torch.testing.assert_close(mine, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("pre_norm", [False, True])
def test_a_block_with_cross_attention_is_torchs_decoder_layer(pre_norm: bool) -> None:
    own = block(pre_norm, cross=True)
    theirs = nn.TransformerDecoderLayer(WIDTH, HEADS, INNER, 0.0, batch_first=True, norm_first=pre_norm)
    give(own, theirs)
    x, given = tokens(), tokens(7, seed=1)
    torch.testing.assert_close(own(x, given), theirs(x, given))


def test_dropout_of_a_block_is_torchs() -> None:
    own = block(False, dropout=0.3)
    theirs = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.3, batch_first=True)
    give(own, theirs)
    x = tokens()[:1]  # torch's layer has the batch in the second place inside, and draws in that order
    torch.testing.assert_close(seeded(lambda: own(x)), seeded(lambda: theirs(x)))


def test_another_feed_forward_part_takes_its_place() -> None:
    own = transformer.Block(WIDTH, transformer.Attention(WIDTH, HEADS), nn.Identity(), pre_norm=True)
    x = tokens()
    after = x + own.attention(own.norms[0](x))
    torch.testing.assert_close(own(x), after + own.norms[1](after))


def test_heads_must_divide_the_width() -> None:
    with pytest.raises(ValueError, match="3 heads do not divide tokens of 8 numbers; allowed: a divisor"):
        transformer.Attention(8, 3)


def test_patches_are_those_of_a_strided_convolution() -> None:
    own = seeded(lambda: transformer.PatchEmbedding(3, 8, 4, WIDTH))
    theirs = seeded(lambda: nn.Conv2d(3, WIDTH, 4, 4))
    x = torch.randn(2, 3, 8, 8)
    torch.testing.assert_close(own(x), theirs(x).flatten(2).transpose(1, 2))
    with pytest.raises(ValueError, match="patches of 3 pixels do not tile images of 8; allowed: a divisor"):
        transformer.PatchEmbedding(1, 8, 3, WIDTH)


@pytest.mark.parametrize("class_token", [False, True])
def test_a_vision_transformer_is_torchs_encoder_on_patches(class_token: bool) -> None:
    own = seeded(lambda: transformer.PatchTransformer(1, 6, 3, WIDTH, HEADS, 2, 5, INNER, class_token)).eval()
    layers = []
    for part in own.blocks:
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, INNER, 0.0, F.gelu, batch_first=True, norm_first=True)
        give(part, layer)
        layers.append(layer.eval())
    x = torch.randn(2, 1, 6, 6)
    sequence = own.patches(x)
    if class_token:
        nn.init.normal_(own.token)
        sequence = torch.cat([own.token.expand(2, -1, -1), sequence], 1)
    sequence = own.norm(nn.Sequential(*layers)(sequence + own.positions))
    expected = own.classifier(sequence[:, 0] if class_token else sequence.mean(1))
    torch.testing.assert_close(own(x), expected)


def test_outputs_come_in_the_order_of_the_calls_and_only_inside() -> None:
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    x = torch.randn(1, 2)
    with transformer.outputs_of([second, first]) as seen:
        middle = first(x)
        last = second(middle)
        again = first(x)
    first(x)
    assert [id(value) for value in seen] == [id(middle), id(last), id(again)]


def test_positions_are_those_of_the_transformer_paper() -> None:
    found = transformer.sinusoids(7, 6)
    for place, pair in itertools.product(range(7), range(3)):
        angle = place / 10000 ** (2 * pair / 6)
        assert float(found[place, 2 * pair]) == pytest.approx(math.sin(angle), abs=1e-5)
        assert float(found[place, 2 * pair + 1]) == pytest.approx(math.cos(angle), abs=1e-5)
