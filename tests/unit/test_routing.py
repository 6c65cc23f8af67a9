import pytest
import torch
from torch import nn

from serflow.nn.routing import RoutedExperts, route

CONDITIONS = torch.tensor([2, 0, 1, 0, 2, 2, 1, 0])


class Scale(nn.Module):
    """Multiplies by a factor, so that the output says which expert ran."""

    def __init__(self, factor):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))

    def forward(self, values, *others):
        return values * self.factor


def experts():
    return RoutedExperts(Scale(factor) for factor in (10, 100, 1000))


def test_rows_come_back_in_order_each_from_its_expert():
    values = torch.arange(1.0, 9.0)[:, None]
    output = experts()(CONDITIONS, values)
    assert output[:, 0].tolist() == [1000, 20, 300, 40, 5000, 6000, 700, 80]


def test_routing_equals_running_each_row_alone():
    torch.manual_seed(0)
    bank = nn.ModuleList(nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 4)).double() for _ in range(3))
    values = torch.randn(8, 6, 5, dtype=torch.float64)
    alone = torch.cat([bank[condition](values[row : row + 1]) for row, condition in enumerate(CONDITIONS)])
    torch.testing.assert_close(route(bank, CONDITIONS, values), alone, rtol=0, atol=1e-14)


def test_all_inputs_of_a_row_go_to_the_same_expert():
    class Second(nn.Module):
        def forward(self, values, others):
            assert len(values) == len(others)
            return others

    others = torch.arange(8.0)
    assert torch.equal(route([Second()] * 3, CONDITIONS, torch.zeros(8, 2), others), others)


@pytest.mark.parametrize("condition", [0, 1, 2])
def test_the_gradient_of_a_row_reaches_its_expert_alone(condition):
    bank = experts()
    values = torch.arange(1.0, 9.0)[:, None].requires_grad_()
    bank(CONDITIONS, values)[condition == CONDITIONS].sum().backward()
    for index, expert in enumerate(bank.experts):
        expected = values[condition == CONDITIONS].sum().item() if index == condition else 0.0
        assert expert.factor.grad.item() == expected
    assert torch.equal(values.grad[:, 0] != 0, condition == CONDITIONS)


def test_a_condition_that_is_absent_leaves_its_expert_without_gradient():
    bank = experts()
    bank(torch.tensor([0, 2, 0]), torch.ones(3, 1)).sum().backward()
    assert bank.experts[1].factor.grad is None
    assert bank.experts[0].factor.grad.item() == 2


def test_gradients_equal_those_of_running_each_row_alone():
    torch.manual_seed(1)
    bank = nn.ModuleList(nn.Linear(5, 4).double() for _ in range(3))
    values = torch.randn(8, 5, dtype=torch.float64)
    weights = torch.randn(8, 4, dtype=torch.float64)

    def gradients(output):
        return torch.autograd.grad((output * weights).sum(), list(bank.parameters()))

    alone = torch.stack([bank[condition](values[row]) for row, condition in enumerate(CONDITIONS)])
    for ours, expected in zip(gradients(route(bank, CONDITIONS, values)), gradients(alone), strict=True):
        torch.testing.assert_close(ours, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize("wrong", [3, -1])
def test_a_condition_without_expert_is_refused(wrong):
    with pytest.raises(ValueError, match="conditions must be 0 to 2"):
        experts()(torch.tensor([0, wrong]), torch.ones(2, 1))


def test_rows_that_the_host_has_counted_are_not_counted_again():
    values, counts = torch.arange(1.0, 9.0)[:, None], torch.bincount(CONDITIONS, minlength=3).tolist()
    assert torch.equal(experts()(CONDITIONS, values, sizes=counts), experts()(CONDITIONS, values))
    # conditions that come last and are absent need not be named
    assert experts()(torch.tensor([1, 0]), torch.ones(2, 1), sizes=(1, 1)).tolist() == [[100.0], [10.0]]


@pytest.mark.parametrize("sizes", [(1, 0, 0), (1, 1, 0, 0), (2, 1)])
def test_counts_of_other_rows_or_of_more_experts_are_refused(sizes):
    with pytest.raises(ValueError, match="2 rows for 3 experts"):
        experts()(torch.tensor([0, 1]), torch.ones(2, 1), sizes=sizes)
