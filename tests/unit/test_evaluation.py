import numpy as np
import pytest
import torch
from torch import nn

from serflow.training.evaluation import class_weights, cross_entropy, predict


def test_predictions_are_in_the_order_of_the_utterances():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 3), nn.Dropout(0.9))
    network.train()
    inputs = torch.randn(11, 4)
    order = np.random.default_rng(0).permutation(11)
    grads = []

    def classify(places):
        grads.append(torch.is_grad_enabled())
        return network(inputs[places])

    found = predict(network, classify, [order[:4], order[4:9], order[9:]])
    # dropout does nothing, in evaluation mode
    expected = torch.softmax(network[0](inputs).double(), dim=1)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-6)
    assert grads == [False] * 3
    assert not network.training
    np.testing.assert_allclose(predict(network, classify, [np.arange(11)]), found, rtol=1e-6)


def test_cross_entropy_of_soft_targets_with_weights():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    targets = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    weights = torch.tensor([1.0, 2.0, 0.5])
    expected = -(torch.log_softmax(logits, 1) * targets * weights).sum() / 2
    torch.testing.assert_close(cross_entropy(logits, targets, weights), expected)
    torch.testing.assert_close(
        cross_entropy(logits, targets, torch.ones(3)), torch.nn.functional.cross_entropy(logits, targets)
    )


def test_class_weights_are_inverse_to_the_sums_of_the_classes():
    targets = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    assert class_weights(targets).tolist() == pytest.approx([4 / (2 * 3), 4 / (2 * 1)])
