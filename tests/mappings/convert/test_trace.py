"""Modules as graphs: what is traced, and what is refused with the path in the module."""

import pytest
import torch
from torch import nn

from devices import InputError
from mappings.convert.trace import outputs_of, path_of, traced


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class FixedBatch(nn.Module):
    def forward(self, x):
        return x.view(2, 3).sum(-1)


class NoBatch(nn.Module):
    def forward(self, x):
        return x.sum()


def test_paths_and_the_batch_of_every_output():
    found = traced(nn.Sequential(nn.Flatten(), nn.Linear(6, 4), nn.Tanh()), (torch.randn(3, 2, 3),))
    assert [path_of(node) for node in found.graph.graph.nodes if node.op == "call_function"][-2:] == ["1", "2"]
    assert found.output_batch == (0,)
    assert found.example[0].shape == (1, 2, 3)
    lstm = traced(nn.LSTM(3, 4), (torch.randn(5, 2, 3),), batch_dim=1)
    assert lstm.output_batch == (1, 1, 1)
    assert len(outputs_of(lstm.graph.graph)) == 3


class Compared(nn.Module):
    def forward(self, x):
        return (x > 0).to(x.dtype).double().to(x.dtype)


def test_a_change_of_type_leaves_nothing_that_gives_no_value():
    found = traced(nn.Sequential(nn.Linear(3, 3), Compared()), (torch.randn(4, 3),))
    calls = [str(node.target) for node in found.graph.graph.nodes if node.op == "call_function"]
    assert not [call for call in calls if "assert" in call]
    x = torch.randn(5, 3)
    torch.testing.assert_close(torch.vmap(found.graph)(x[None])[0][0], found.graph(x)[0])


def test_one_sample_is_enough_and_others_may_follow():
    module = nn.Linear(3, 2)
    found = traced(module, (torch.randn(1, 3),))
    x = torch.randn(7, 3)
    (y,) = found.graph(x)
    torch.testing.assert_close(y, module(x))


@pytest.mark.parametrize(
    ("module", "x", "said"),
    [
        (nn.Sequential(nn.Linear(3, 4), Branching()), torch.randn(2, 3), "1: what is computed must not depend"),
        (nn.Sequential(nn.Identity(), FixedBatch()), torch.randn(2, 3), "Sequential: shapes must follow the size"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3, 4)), torch.randn(2, 4), "1: the module fails on the example"),
        (NoBatch(), torch.randn(2, 3), "output 0: must have the batch as a dimension"),
        (nn.Linear(3, 4), torch.tensor(1.0), "example: a tensor with a batch in dimension 0"),
    ],
)
def test_what_cannot_be_traced_is_refused_with_its_path(module, x, said):
    with pytest.raises(InputError, match=said):
        traced(module, (x,))


def test_weights_that_are_not_finite_are_all_named():
    module = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    with torch.no_grad():
        module[0].weight[0, 0] = torch.nan
        module[1].running_var[1] = torch.inf
    with pytest.raises(InputError) as error:
        traced(module, (torch.randn(2, 2),))
    assert list(error.value.problems) == ["0.weight: values must be finite", "1.running_var: values must be finite"]
