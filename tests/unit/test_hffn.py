"""HFFN: blocks, the attentive LSTM against a step by hand, context over turns, and stages of training."""

import copy

import pytest
import torch

from serflow.nn.routing import route
from serflow.nn.sequences import Context, find_turns, to_rows, to_sequences
from serflow.studies.dlc.abs_lstm import AbsLstm, _Scan, _Steps
from serflow.studies.dlc.catalog import load_method
from serflow.studies.dlc.data import Batch
from serflow.studies.dlc.hffn import ACTIVATIONS, Fusion, LexicalBranch, outer_product_blocks
from serflow.studies.dlc.models import Sizes, initialise
from serflow.studies.dlc.options import ModelOptions, Options

SIZES = Sizes(n_bands=6, n_classes=3, condition_counts=(4, 4, 4), text_dim=5)
MODEL = ModelOptions(maps=8, kernel=5, hidden=8)
MULTIMODAL = ["hffn_single", "hffn_moe_dlc", "hffn_dsn_dlc"]


def build(method, **options):
    torch.manual_seed(1)
    network = load_method(method).build(SIZES, Options(model=MODEL, **options))
    initialise(network)
    return network.eval()


def make_batch():
    """Six utterances of two dialogues, four turns and two."""
    torch.manual_seed(0)
    lengths, n_tokens = torch.tensor([9, 12, 5, 12, 8, 3]), torch.tensor([3, 8, 2, 5, 4, 7])
    mask = (torch.arange(12) < lengths[:, None])[..., None]
    noisy, clean = torch.randn(2, 6, 12, 6) * mask
    tokens = torch.randn(6, 8, 5) * (torch.arange(8) < n_tokens[:, None])[..., None]
    targets = torch.eye(3)[[0, 1, 2, 0, 1, 2]]
    conditions, dialogues = torch.tensor([0, 2, 1, 0, 1, 2]), torch.tensor([0, 0, 0, 0, 1, 1])
    return Batch(noisy, clean, lengths, targets, conditions, tokens, n_tokens, dialogues)


def reordered(batch, rows):
    """The same utterances in another order, dialogues staying where they are in the batch."""
    return Batch(*(None if values is None else values[rows] for values in batch))._replace(dialogues=batch.dialogues)


def test_blocks_hold_the_outer_products_of_both_modalities():
    text, audio = torch.tensor([[2.0, 3.0, 5.0, 7.0]]), torch.tensor([[11.0, 13.0, 17.0, 19.0]])
    blocks = outer_product_blocks(text, audio)
    assert blocks.shape == (1, 2, 9)
    assert blocks[0, 0].tolist() == [22.0, 26.0, 2.0, 33.0, 39.0, 3.0, 11.0, 13.0, 1.0]
    assert blocks[0, 1].tolist() == [85.0, 95.0, 5.0, 119.0, 133.0, 7.0, 17.0, 19.0, 1.0]


def by_hand(layer, blocks):
    """One direction of the ABS-LSTM on one utterance, element by element, from the method's description."""
    sigmoid = lambda v: min(max(0.2 * v + 0.5, 0.0), 1.0)  # noqa: E731
    n = layer.units
    tables = [p.detach().tolist() for p in (layer.state_attention, layer.cell_attention, layer.input_weights)]
    a_h, a_c, w = tables
    u, a_1 = layer.state_weights.detach().tolist(), layer.output_attention.detach().tolist()
    b_1, a_2 = layer.output_bias.detach().tolist(), layer.output_score.detach().tolist()

    def times(vector, table):
        return [sum(v * row[j] for v, row in zip(vector, table, strict=True)) for j in range(len(table[0]))]

    def attend(kept, table, x):
        norms = []
        for state in kept:
            scored = torch.tanh(torch.tensor(times(state + x, table)))
            norms.append(float((scored**2).sum() ** 0.5))
        weights = torch.softmax(torch.tensor(norms), 0).tolist()
        return [max(sum(a * state[k] for a, state in zip(weights, kept, strict=True)), 0.0) for k in range(n)]

    states, cells, outputs = [[0.0] * n] * 3, [[0.0] * n] * 3, []
    for x in blocks.tolist():
        before, cell = attend(states[-3:], a_h, x), attend(cells[-3:], a_c, x)
        gates = [sigmoid(a + b) for a, b in zip(times(x, w), times(before, u), strict=True)]
        i, f, o, m = (gates[k * n : (k + 1) * n] for k in range(4))
        cell = [f[k] * cell[k] + i[k] * m[k] for k in range(n)]
        state = [o[k] * float(torch.tanh(torch.tensor(cell[k]))) for k in range(n)]
        states, cells = [*states, state], [*cells, cell]
        hidden = [sigmoid(v + b) for v, b in zip(times(state + x, a_1), b_1, strict=True)]
        score = times(hidden, a_2)[0]
        outputs.append(torch.nn.functional.elu(torch.tensor([score * value for value in state])).tolist())
    return torch.tensor(outputs)


def test_the_attentive_lstm_equals_its_description_step_by_step():
    torch.manual_seed(3)
    layer, blocks = AbsLstm(4, 3), torch.randn(2, 6, 4)
    torch.nn.init.normal_(layer.output_bias)
    found = layer(blocks)
    assert found.shape == (2, 6, 6)
    for utterance in range(2):
        torch.testing.assert_close(found[utterance, :, :3], by_hand(layer, blocks[utterance]), rtol=1e-4, atol=1e-6)
        backwards = by_hand(layer, blocks[utterance].flip(0)).flip(0)
        torch.testing.assert_close(found[utterance, :, 3:], backwards, rtol=1e-4, atol=1e-6)


def test_the_gradients_of_the_attentive_lstm_are_the_numerical_ones():
    torch.manual_seed(5)
    layer, inputs = AbsLstm(4, 3).double(), torch.randn(2, 5, 4, dtype=torch.float64, requires_grad=True)
    names = ["state_attention", "cell_attention", "input_weights", "state_weights"]

    def run(values, *weights):
        return torch.func.functional_call(layer, dict(zip(names, weights, strict=True)), (values,))

    assert torch.autograd.gradcheck(run, (inputs, *(getattr(layer, name) for name in names)))


@pytest.mark.parametrize(("units", "width", "scale"), [(3, 5, 1.0), (4, 4, 3.0), (2, 5, 0.0)])
def test_compiled_steps_are_those_of_any_device(units, width, scale):
    """With a scale of 3 many gates are shut or open; with 0 attentions see nothing but zeros."""
    torch.manual_seed(6)
    given = [scale * torch.randn(3, 7, 2 * width + 4 * units, dtype=torch.float64)]
    given += [torch.randn(units, size, dtype=torch.float64) for size in (width, width, 4 * units)]
    weights = torch.randn(3, 7, units, dtype=torch.float64)
    found = []
    for steps in (_Scan, _Steps):
        inputs = [values.clone().requires_grad_() for values in given]
        states = steps.apply(*inputs)
        (states * weights).sum().backward()
        found.append([states, *(values.grad for values in inputs)])
    for compiled, stepwise in zip(*found, strict=True):
        torch.testing.assert_close(compiled, stepwise)
    assert (found[0][0].abs().sum() > 0) == (scale > 0)


@pytest.mark.parametrize("steps", [_Scan, _Steps])
def test_gradients_of_gradients_of_the_steps_are_refused(steps):
    seen = torch.randn(2, 4, 2 * 5 + 4 * 3, requires_grad=True)
    states = steps.apply(seen, torch.randn(3, 5), torch.randn(3, 5), torch.randn(3, 12))
    (gradient,) = torch.autograd.grad(states.square().sum(), seen, create_graph=True)
    with pytest.raises(RuntimeError, match="twice"):
        gradient.sum().backward()


def test_the_attentive_lstm_stays_in_full_precision():
    layer, inputs = AbsLstm(9), torch.randn(3, 50, 9)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.run(inputs).dtype == torch.float32
        layer(inputs).sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())
    layer.zero_grad()
    silent = torch.zeros(2, 4, 9, requires_grad=True)
    layer(silent).sum().backward()
    assert torch.isfinite(silent.grad).all()


def test_the_fusion_has_the_sizes_of_the_authors_code():
    fusion = Fusion(4)
    shapes = {name: tuple(parameter.shape) for name, parameter in fusion.combine.named_parameters()}
    assert shapes["state_attention"] == (12, 3)
    assert shapes["cell_attention"] == (12, 5)
    assert shapes["input_weights"] == (9, 12)
    assert fusion.dense[1].weight.shape == (50, 300)
    assert fusion(torch.randn(2, ACTIVATIONS), torch.randn(2, ACTIVATIONS)).shape == (2, 4)


def test_rows_find_their_turns_wherever_they_stand():
    turns = find_turns(torch.tensor([1, 0, 1, 0, 1]))
    assert turns.turn.tolist() == [0, 0, 1, 1, 2]
    assert turns.lengths.tolist() == [2, 3]
    rows = torch.arange(5.0)[:, None]
    sequences = to_sequences(rows, turns)
    assert sequences[..., 0].tolist() == [[1.0, 3.0, 0.0], [0.0, 2.0, 4.0]]
    assert torch.equal(to_rows(sequences, turns), rows)
    for one, other in zip(find_turns(turns.dialogue, (2, 3)), turns, strict=True):
        assert torch.equal(torch.as_tensor(one), torch.as_tensor(other))


@pytest.mark.parametrize("kind", ["gru", "lstm"])
def test_padded_turns_are_not_seen(kind):
    torch.manual_seed(0)
    context, rows = Context(kind, 4, 3), torch.randn(6, 4)
    both = context(rows, find_turns(torch.tensor([0, 0, 0, 0, 1, 1])))
    assert both.shape == (6, 6)
    torch.testing.assert_close(both[4:], context(rows[4:], find_turns(torch.tensor([0, 0]))))
    torch.testing.assert_close(both[4:, :3], context.forwards(rows[None, 4:])[0][0])
    torch.testing.assert_close(both[4:, 3:], context.backwards(rows[None, 4:].flip(1))[0][0].flip(0))


def test_text_of_one_utterance_does_not_depend_on_the_longest():
    torch.manual_seed(0)
    branch = LexicalBranch(5).eval()
    tokens, n_tokens = torch.randn(1, 2, 5), torch.tensor([2])
    padded = torch.nn.functional.pad(tokens, (0, 0, 0, 30))
    turns = find_turns(torch.tensor([0]))
    torch.testing.assert_close(branch(tokens, n_tokens, turns), branch(padded, n_tokens, turns))


def test_routing_gives_rows_back_in_their_order_and_turns_matter():
    batch = make_batch()
    rows = torch.tensor([2, 0, 3, 1, 5, 4])
    shuffled = reordered(batch, rows)
    experts = [torch.nn.Linear(6, 4) for _ in range(3)]
    routed, again = (route(experts, b.conditions, b.noisy.sum(1)) for b in (batch, shuffled))
    torch.testing.assert_close(again, routed[rows])
    for row, condition in enumerate(batch.conditions):
        torch.testing.assert_close(routed[row], experts[condition](batch.noisy[row].sum(0)))

    # unimodal: each utterance by itself, in whatever order
    unimodal = build("moe_dlc")
    torch.testing.assert_close(unimodal.classify(shuffled), unimodal.classify(batch)[rows])
    for method in MULTIMODAL:
        network = build(method)
        one, two = network.classify(batch), network.classify(shuffled)
        assert not torch.allclose(two, one[rows], atol=1e-4), method
        # the order of the batch does not matter while turns keep theirs: dialogues may be interleaved
        woven = torch.tensor([0, 4, 1, 2, 5, 3])
        torch.testing.assert_close(
            network.classify(Batch(*(None if values is None else values[woven] for values in batch))),
            one[woven],
            rtol=1e-4,
            atol=1e-6,
        )


@pytest.mark.parametrize("method", MULTIMODAL)
def test_an_utterance_hears_and_reads(method):
    network, batch = build(method), make_batch()
    whole = network.classify(batch)
    for changed in ("noisy", "tokens"):
        other = batch._replace(**{changed: getattr(batch, changed) * 2})
        assert not torch.allclose(network.classify(other), whole, atol=1e-5)
    # dialogues do not hear each other
    quieter = batch._replace(noisy=torch.cat([batch.noisy[:4], batch.noisy[4:] * 2]))
    torch.testing.assert_close(network.classify(quieter)[:4], whole[:4])


def test_each_stage_moves_its_own_weights_alone():
    network, batch = build("hffn_moe_dlc", hffn="staged"), make_batch()
    assert network.stages == ("acoustic", "lexical", "fusion")
    parts = {
        "acoustic": ("acoustic.", "acoustic_branch.", "acoustic_output."),
        "lexical": ("lexical_branch.", "lexical_output."),
        "fusion": ("fusion.",),
    }
    for stage, prefixes in parts.items():
        network.train()
        network.start_epoch(0, stage)
        before = copy.deepcopy(network.state_dict())
        losses = network.losses(batch, torch.ones(3), stage)
        network.zero_grad()
        losses.total.backward()
        moved = {id(parameter) for parameter in network.parameters_of(stage)}
        for name, parameter in network.named_parameters():
            assert (id(parameter) in moved) == name.startswith(prefixes), (stage, name)
            assert parameter.grad is None or name.startswith(prefixes), (stage, name)
        if stage == "fusion":
            assert "reconstruction_loss" not in losses.terms
            assert -1 <= losses.total <= 0
            # statistics and dropout of the branches stand still
            assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
            assert not network.lexical_branch.training
            assert network.fusion.training
    all_of_them = [id(p) for stage in parts for p in network.parameters_of(stage)]
    assert sorted(all_of_them) == sorted(id(p) for p in network.parameters())


def test_end_to_end_everything_learns():
    network, batch = build("hffn_dsn_dlc").train(), make_batch()
    network.start_epoch(2, "all")
    network.losses(batch, torch.ones(3)).total.backward()
    still = [name for name, parameter in network.named_parameters() if parameter.grad is None]
    assert still == []
    assert network.stages == ("all",)
