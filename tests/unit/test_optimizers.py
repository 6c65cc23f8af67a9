import subprocess
import sys

import pytest
import torch

from serflow.training.optimizers import Adadelta, Adam, RMSprop

PEERS = {
    Adam: lambda parameters: torch.optim.Adam(parameters, 1e-3, betas=(0.5, 0.999)),
    Adadelta: lambda parameters: torch.optim.Adadelta(parameters, 1e-3, rho=0.95, eps=1e-7),
    RMSprop: lambda parameters: torch.optim.RMSprop(parameters, 1e-3, alpha=0.9, eps=1e-7),
}


@pytest.mark.parametrize("ours", PEERS)
def test_optimizers_equal_those_of_torch(ours):
    torch.manual_seed(0)
    mine = [torch.randn(3, 4, requires_grad=True), torch.randn(5, requires_grad=True)]
    theirs = [parameter.detach().clone().requires_grad_() for parameter in mine]
    one, two = ours(mine), PEERS[ours](theirs)
    for step in range(20):
        for index, (a, b) in enumerate(zip(mine, theirs, strict=True)):
            # the second parameter is absent from every third batch
            a.grad = None if index and step % 3 == 0 else torch.randn_like(a)
            b.grad = None if a.grad is None else a.grad.clone()
        # a schedule sets the rate
        one.param_groups[0]["lr"] = two.param_groups[0]["lr"] = 1e-3 * (1 + step % 4)
        one.step()
        two.step()
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("ours", PEERS)
def test_an_optimizer_goes_on_from_its_state(ours):
    parameter = torch.ones(3, requires_grad=True)
    one = ours([parameter], 0.1)
    one.param_groups[0]["lr"] = 0.05
    for _ in range(3):
        parameter.grad = parameter.detach() + 1
        one.step()
    copied = parameter.detach().clone().requires_grad_()
    two = ours([copied], 0.1)
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
        "import sys, torch; from serflow.training.optimizers import OPTIMIZERS;"
        "p = torch.ones(2, requires_grad=True); p.sum().backward();"
        "[kind([p], 1e-3).step() for kind in OPTIMIZERS.values()];"
        "print('torch._dynamo' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"
