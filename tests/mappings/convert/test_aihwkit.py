"""The same layer through aihwkit's torch tile at the same numbers of levels: another simulator, the same outputs."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import mho


def test_a_linear_layer_is_that_of_aihwkits_torch_tile_to_one_code() -> None:
    pytest.importorskip("aihwkit", reason="aihwkit has no wheel for this Python")
    from aihwkit.nn.conversion import convert_to_analog
    from aihwkit.simulator.configs import BoundManagementType, NoiseManagementType, TorchInferenceRPUConfig
    from aihwkit.simulator.parameters import IOParameters

    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(40, 24, bias=False)).eval()
    x = torch.rand(200, 40) * 2.0 - 1.0
    x[0, 0] = 1.0  # the range of the inputs
    net = mho.convert(module, mho.read_config("hermes_core", mho.Chip, folder="chips").value.idealised(), example=x)
    limit, largest = net.tiles["0"].limit, float(module[0].weight.detach().abs().max())
    config = TorchInferenceRPUConfig()
    config.forward = IOParameters(
        inp_bound=1.0,
        inp_res=1.0 / 254.0,  # 127 steps either way, as 8-bit pulse widths
        out_bound=limit / largest * 127.0 / 128.0,
        out_res=1.0 / 254.0,  # steps of limit / 128, as an 8-bit converter over the range
        out_noise=0.0,
        w_noise=0.0,
        noise_management=NoiseManagementType.NONE,
        bound_management=BoundManagementType.NONE,
    )
    config.mapping.weight_scaling_omega = 1.0
    with torch.no_grad():
        theirs = convert_to_analog(module, config).eval()(x)
        ours = net.program().at(0.0)(x)[0]
        formats, exact = net(x), module(x)
    code = limit / 128.0
    assert float((formats - theirs).abs().max()) <= 1.01 * code
    assert float((ours - theirs).abs().max()) <= 1.01 * code
    assert float(((ours - theirs).abs() < 0.01 * code).float().mean()) > 0.98
    assert float((theirs - exact).abs().max()) > 0.4 * code  # it rounds at all
