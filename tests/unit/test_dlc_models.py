import pytest
import torch

from serflow.nn.sequences import Context
from serflow.noise.plan import CONDITIONS as PLANNED_CONDITIONS
from serflow.studies.dlc.abs_lstm import AbsLstm
from serflow.studies.dlc.catalog import load_method, method_info, method_names
from serflow.studies.dlc.data import CONDITIONS, Batch
from serflow.studies.dlc.losses import reconstruction
from serflow.studies.dlc.models import Classifier, Decoder, Encoder, Readout, Sizes, initialise
from serflow.studies.dlc.options import ModelOptions, Options, TrainingOptions
from serflow.training.evaluation import cross_entropy
from serflow.training.optimizers import Adam

SIZES = Sizes(n_bands=6, n_classes=4, condition_counts=(5, 7, 6), text_dim=5)
SMALL = ModelOptions(maps=8, kernel=5, hidden=8)
LENGTHS = torch.tensor([30, 17, 5, 1])
TOKENS = torch.tensor([2, 6, 3, 11])
METHODS = [name for name in method_names() if method_info(name).network]
READS_MEANS = ModelOptions(maps=8, kernel=4, hidden=8, readout="mean_std")


def make_batch(n_frames=30, n_tokens=12):
    """Two dialogues of three turns and one; the second frame axis and the tokens can be padded further."""
    torch.manual_seed(0)
    mask = torch.arange(30) < LENGTHS[:, None]
    noisy, clean = torch.randn(2, 4, 30, SIZES.n_bands) * mask[..., None]
    tokens = torch.randn(4, 12, SIZES.text_dim) * (torch.arange(12) < TOKENS[:, None])[..., None]
    noisy, clean = (torch.nn.functional.pad(frames, (0, 0, 0, n_frames - 30)) for frames in (noisy, clean))
    tokens = torch.nn.functional.pad(tokens, (0, 0, 0, n_tokens - 12))
    conditions, dialogues = torch.tensor([0, 2, 1, 0]), torch.tensor([0, 0, 0, 1])
    return Batch(noisy, clean, LENGTHS, torch.eye(4), conditions, tokens, TOKENS, dialogues)


def rows_of(batch, rows):
    return Batch(*(None if values is None else values[rows] for values in batch))


def build(method, options=SMALL, **others):
    torch.manual_seed(1)
    network = load_method(method).build(SIZES, Options(model=options, **others))
    initialise(network)
    return network


def minimise(network, batch, steps, stage="all", rate=5e-3):
    """Train on one batch."""
    optimizer = Adam(network.parameters_of(stage), rate)
    network.train()
    network.start_epoch(3, stage)
    for _ in range(steps):
        losses = network.losses(batch, torch.ones(4), stage)
        assert losses.logits.shape == (4, 4)
        assert all(torch.isfinite(value) for value in (losses.total, *losses.terms.values()))
        optimizer.zero_grad()
        losses.total.backward()
        moved = {id(parameter) for parameter in network.parameters_of(stage)}
        assert all(torch.isfinite(p.grad).all() for p in network.parameters() if id(p) in moved)
        optimizer.step()


def loss_in_a_test(network, batch):
    """Without dropout, of which HFFN has much."""
    network.eval()
    with torch.no_grad():
        return cross_entropy(network.classify(batch), batch.targets, torch.ones(4)).item()


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_papers_encoder_has_0_61_million_parameters():
    encoder = Encoder(40, ModelOptions())
    assert n_parameters(encoder) == 16 * 128 * (40 + 128 + 128) + 3 * 128 == 606_592


def test_the_papers_decoder_and_classifier():
    assert n_parameters(Decoder(40, ModelOptions())) == 3 * (128 * 128 + 128 * 40 + 40 * 40) + 128 + 40 + 40
    assert n_parameters(Classifier(4, ModelOptions())) == 2 * (128 * 128 + 128) + 128 * 4 + 4


@pytest.mark.parametrize("pool", [1, 2, 4])
def test_shapes_of_the_parts(pool):
    options = ModelOptions(maps=8, kernel=5, hidden=8, pool=pool)
    batch = make_batch()
    code = Encoder(6, options)(batch.noisy, LENGTHS)
    assert code.shape == (4, -(-30 // pool), 8)
    assert Decoder(6, options)(code, LENGTHS, 30).shape == (4, 30, 6)
    assert Classifier(4, options)(code, LENGTHS).shape == (4, 4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "options", [SMALL, READS_MEANS, ModelOptions(maps=8, kernel=4, instance_norm=True, dropout=0.2)]
)
def test_every_method_learns_a_batch_by_heart(method, options):
    network, batch = build(method, options), make_batch()
    before = loss_in_a_test(network, batch)
    minimise(network, batch, 60)
    assert loss_in_a_test(network, batch) < 0.5 * before


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [SMALL, READS_MEANS, ModelOptions(maps=8, kernel=4, hidden=8, instance_norm=True)])
def test_the_padding_of_the_batch_changes_nothing(method, options):
    network = build(method, options).eval()
    short, long = make_batch(), make_batch(41, 20)
    one = network.classify(short)
    torch.testing.assert_close(one, network.classify(long))
    alone = Batch(
        short.noisy[3:, :1], short.clean[3:, :1], LENGTHS[3:], short.targets[3:], short.conditions[3:],
        short.tokens[3:, :11], TOKENS[3:], torch.tensor([0]),
    )  # fmt: skip
    torch.testing.assert_close(network.classify(alone)[0], one[3])
    losses = [network.losses(batch, torch.ones(4)) for batch in (short, long)]
    torch.testing.assert_close(losses[0].terms, losses[1].terms)


@pytest.mark.parametrize("method", METHODS)
def test_the_weights_survive_a_round_trip(method):
    network, other = build(method), build(method)
    for parameter in other.parameters():
        torch.nn.init.normal_(parameter)
    other.load_state_dict(network.state_dict())
    one, two = (n.eval().classify(make_batch()) for n in (network, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize("method", METHODS)
def test_the_loss_is_the_weighted_sum_of_its_terms(method):
    network = build(method, training=TrainingOptions(reconstruction_weight=0.5)).eval()
    found = network.losses(make_batch(), torch.ones(4))
    weights = {"task_loss": 1.0, "reconstruction_loss": 0.5}
    if method == "dann":
        weights["similarity_loss"] = 1.0
    if method == "maddog":
        weights["similarity_loss"] = 0.1
    if "dsn" in method:
        weights.update(reconstruction_loss=0.01, similarity_loss=0.25, difference_loss=0.075)
    if method == "noise_classifier":
        del weights["reconstruction_loss"]
    assert found.terms.keys() == weights.keys()
    torch.testing.assert_close(found.total, sum(weights[name] * value for name, value in found.terms.items()))


def test_a_mixture_has_an_encoder_for_each_condition_and_shares_the_rest():
    single, mixture = build("single"), build("moe_dlc")
    assert n_parameters(mixture) - n_parameters(single) == 2 * n_parameters(single.acoustic.encoder)
    batch = make_batch()
    single.acoustic.decoder.load_state_dict(mixture.acoustic.decoder.state_dict())
    single.classifier.load_state_dict(mixture.classifier.state_dict())
    for index, encoder in enumerate(mixture.acoustic.encoders.experts):
        single.acoustic.encoder.load_state_dict(encoder.state_dict())
        rows = batch.conditions == index
        torch.testing.assert_close(single.classify(batch)[rows], mixture.classify(batch)[rows])


def test_a_width_matched_single_has_as_many_weights_as_the_mixture():
    wide, mixture, single = build("single_wide"), build("moe_dlc"), build("single")
    assert abs(n_parameters(wide) - n_parameters(mixture)) < 0.15 * n_parameters(mixture)
    assert n_parameters(wide) > 1.5 * n_parameters(single)


@pytest.mark.parametrize(("readout", "n_values"), [("max", 1), ("mean_std", 2)])
def test_a_readout_sees_the_codes_own_frames_alone(readout, n_values):
    layer = Readout(ModelOptions(maps=8, readout=readout))
    # three frames of four belong to it, and one that pooling began
    code = torch.cat([torch.randn(1, 4, 8), 50 + torch.randn(1, 2, 8)], dim=1).double()
    own = code[0, :4]
    found = layer(code, torch.tensor([13]))
    assert found.shape == (1, layer.dim) == (1, 8 * n_values)
    expected = own.amax(0) if readout == "max" else own.mean(0)
    torch.testing.assert_close(found[0, :8], expected)


def test_only_the_first_dense_layer_knows_how_the_code_is_read():
    most, means = build("single", ModelOptions()), build("single", ModelOptions(readout="mean_std"))
    assert n_parameters(means) - n_parameters(most) == 128 * 128


def test_biases_start_at_zero_and_weights_are_glorot_uniform():
    network = build("single", ModelOptions())
    first = network.acoustic.encoder.convolutions[0].convolution
    assert not first.bias.any()
    bound = (6 / (16 * (6 + 128))) ** 0.5
    assert 0.99 * bound < first.weight.abs().max() <= bound


@pytest.mark.parametrize(("kind", "n_gates"), [("gru", 3), ("lstm", 4)])
def test_weights_of_all_gates_start_as_one_matrix(kind, n_gates):
    torch.manual_seed(0)
    context = Context(kind, 60, 20)
    initialise(context)
    bound = (6 / (60 + n_gates * 20)) ** 0.5
    for layer in (context.forwards, context.backwards):
        inputs, states = layer.weight_ih_l0.detach(), layer.weight_hh_l0.detach()
        assert inputs.shape == (n_gates * 20, 60)
        for gate in inputs.split(20):
            assert 0.95 * bound < gate.abs().max() <= bound
        torch.testing.assert_close(states.T @ states, torch.eye(20))
        for gate in states.split(20):
            assert not torch.allclose(gate.T @ gate, torch.eye(20), atol=0.1)


@pytest.mark.parametrize(("kind", "start"), [("gru", [0.0] * 3), ("lstm", [0.0, 1.0, 0.0, 0.0])])
def test_an_lstms_forget_bias_starts_at_one_and_other_biases_at_zero(kind, start):
    context = Context(kind, 5, 2)
    initialise(context)
    for layer in (context.forwards, context.backwards):
        both = layer.bias_ih_l0 + layer.bias_hh_l0
        assert both.tolist() == [value for value in start for _ in range(2)]


def test_the_abs_lstms_weights_of_all_gates_start_as_one_matrix():
    torch.manual_seed(0)
    layer = AbsLstm(in_dim=300, units=100)
    for weights, n_inputs in ((layer.input_weights, 300), (layer.state_weights, 100)):
        bound = (6 / (n_inputs + 400)) ** 0.5
        assert 0.95 * bound < weights.abs().max() <= bound


def test_reconstruction_counts_frames_of_utterances_alone():
    output, clean = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]])[..., None].bool()
    expected = torch.cat([(output - clean)[0].square().flatten(), (output - clean)[1, :2].square().flatten()]).mean()
    torch.testing.assert_close(reconstruction(output, clean, mask), expected)
    output[1, 2:] = 1e6
    torch.testing.assert_close(reconstruction(output, clean, mask), expected)


def test_conditions_are_those_of_the_noise_plan():
    assert CONDITIONS == PLANNED_CONDITIONS
