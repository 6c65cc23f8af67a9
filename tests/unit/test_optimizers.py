import subprocess
import sys

import pytest
import torch

from serflow.training.optimizers import BETAS, Adadelta, Adam, NesterovSgd, RMSprop

PAIRS = {
    "adam": (lambda groups: Adam(groups, 1e-3), lambda groups: torch.optim.Adam(groups, 1e-3, betas=(0.5, 0.999))),
    "adamw": (
        lambda groups: Adam(groups, 1e-3, BETAS, eps=1e-6, weight_decay=0.1),
        lambda groups: torch.optim.AdamW(groups, 1e-3, eps=1e-6, weight_decay=0.1),
    ),
    "adadelta": (
        lambda groups: Adadelta(groups, 1e-3),
        lambda groups: torch.optim.Adadelta(groups, 1e-3, rho=0.95, eps=1e-7),
    ),
    "rmsprop": (
        lambda groups: RMSprop(groups, 1e-3),
        lambda groups: torch.optim.RMSprop(groups, 1e-3, alpha=0.9, eps=1e-7),
    ),
    "sgd": (
        lambda groups: NesterovSgd(groups, 1e-3, 0.9),
        lambda groups: torch.optim.SGD(groups, 1e-3, momentum=0.9, nesterov=True),
    ),
    "plain sgd": (lambda groups: NesterovSgd(groups, 1e-3, 0.0), lambda groups: torch.optim.SGD(groups, 1e-3)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_optimizers_equal_those_of_torch(name):
    torch.manual_seed(0)
    mine = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True), torch.randn(2).requires_grad_()]
    theirs = [parameter.detach().clone().requires_grad_() for parameter in mine]
    # the third has a rate, and a decay where there is one, of its own
    own = {"lr": 5e-4, **({"weight_decay": 0.0} if name == "adamw" else {})}
    one, two = (
        make([{"params": values[:2]}, {"params": values[2:], **own}])
        for make, values in zip(PAIRS[name], (mine, theirs), strict=True)
    )
    for step in range(20):
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            # the second parameter is absent from every third batch
            a.grad = None if index == 1 and step % 3 == 0 else torch.randn_like(a)
            b.grad = None if a.grad is None else a.grad.clone()
        # a schedule sets the rate
        one.param_groups[0]["lr"] = two.param_groups[0]["lr"] = 1e-3 * (1 + step % 4)
        one.step()
        two.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", PAIRS)
def test_an_optimizer_goes_on_from_its_state(name):
    make, _ = PAIRS[name]
    parameter = torch.ones(3, requires_grad=True)
    one = make([parameter])
    one.param_groups[0]["lr"] = 0.05
    for _ in range(3):
        parameter.grad = parameter.detach() + 1
        one.step()
    copied = parameter.detach().clone().requires_grad_()
    two = make([copied])
    two.load_state_dict(one.state_dict())
    assert two.param_groups[0]["lr"] == 0.05
    for moved, optimizer in ((parameter, one), (copied, two)):
        moved.grad = torch.full((3,), 0.5)
        optimizer.step()
        optimizer.zero_grad()
        assert moved.grad is None
    assert torch.equal(parameter, copied)


def test_a_step_does_not_import_torchs_compiler():
    program = (
        "import sys, torch; from serflow.training.optimizers import OPTIMIZERS, NesterovSgd;"
        "p = torch.ones(2, requires_grad=True); p.sum().backward();"
        "[kind([p], 1e-3).step() for kind in OPTIMIZERS.values()]; NesterovSgd([p], 1e-3, 0.9).step();"
        "print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
