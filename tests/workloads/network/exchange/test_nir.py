"""Liquids and spiking layers to NIR and back, graphs as snnTorch writes them, and what is refused."""

from __future__ import annotations

import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

nir = pytest.importorskip("nir", reason="the extra nir is not installed")
h5py = pytest.importorskip("h5py", reason="the extra nir is not installed")

import mho  # noqa: E402
from devices import ChipStreams, InputError, Stream  # noqa: E402
from mappings.liquid.liquid import Liquid, ProgrammedLiquid  # noqa: E402
from mappings.liquid.run import LineSpikes  # noqa: E402
from periphery.neurons.lif import LIF  # noqa: E402
from workloads.lsm.readout import Trained  # noqa: E402
from workloads.network.exchange.nir_graph import from_nir, to_nir  # noqa: E402
from workloads.network.exchange.nir_liquid import liquid_of, network_of  # noqa: E402

RNG = np.random.default_rng(0)
LINES = RNG.random((6, 40, 64)) < 0.1
IMAGES = RNG.random((4, 50, 256)) < 0.0861
SMALL = Liquid(inputs=64, neurons=50, neuron=LIF(decay=0.9, threshold=3.0))


def chips() -> ChipStreams:
    return ChipStreams.of(Stream.root(0), 1)


def raster(liquid: ProgrammedLiquid, lines: NDArray[Any] = LINES) -> NDArray[np.uint8]:
    found = liquid.at().run(LineSpikes.of(lines), noise=chips(), record=True).raster
    assert found is not None
    return np.asarray(found[0].numpy())


def readout(neurons: int) -> Trained:
    return Trained(RNG.normal(size=(10, neurons)), RNG.normal(size=10), np.arange(10))


def test_a_liquid_written_to_nir_and_read_back_gives_the_same_spikes(tmp_path: Path) -> None:
    liquid, scores = SMALL.map().software(rng=chips()), readout(50)
    network = network_of(liquid, scores)
    to_nir(network, tmp_path / "liquid.nir")
    back = from_nir(tmp_path / "liquid.nir")
    again, trained = liquid_of(back)
    spikes = raster(liquid)
    assert 0.02 < spikes.mean() < 0.5
    assert np.array_equal(raster(again), spikes)
    assert trained is not None
    np.testing.assert_allclose(trained.weights, scores.weights, rtol=1e-6)
    assert again.mapped.reservoir.neuron.decay == pytest.approx(0.9, abs=1e-15)
    with torch.no_grad():
        given = back(torch.from_numpy(LINES).float()).mean(1)
    np.testing.assert_allclose(given, scores.scores(spikes.mean(1)), rtol=1e-4, atol=1e-5)


def test_the_liquid_of_the_paper_comes_back_with_the_same_spikes(tmp_path: Path) -> None:
    liquid = Liquid().map().software(rng=chips())
    to_nir(network_of(liquid), tmp_path / "liquid.nir", dt_s=3e-5)
    again, _ = liquid_of(from_nir(tmp_path / "liquid.nir"))
    spikes = raster(liquid, IMAGES)
    assert 0.02 < spikes.mean() < 0.3
    assert np.array_equal(raster(again, IMAGES), spikes)
    with pytest.raises(InputError, match="a new file"):
        to_nir(network_of(liquid), tmp_path / "liquid.nir")


@pytest.mark.parametrize("how", [SMALL, Liquid(inputs=64, neurons=50, pairing="pairs")], ids=["neighbours", "pairs"])
def test_a_chip_of_formed_cells_is_exported_with_the_means_of_its_weights(how: Liquid, tmp_path: Path) -> None:
    made = how.map().program(rng=chips())
    network = network_of(made)
    back, trained = liquid_of(from_nir(to_nir(network)))
    assert trained is None
    torch.testing.assert_close(back.weights_uS(), made.weights_uS(), rtol=0, atol=1e-3)
    assert np.array_equal(raster(back), network(torch.from_numpy(LINES).float()).numpy().astype(np.uint8))


def test_a_liquid_on_capacitors_keeps_its_offsets_and_is_no_liquid_in_software() -> None:
    made = Liquid(inputs=64, neurons=50, read_path="capacitor").map().program(rng=chips())
    network = network_of(made)
    torch.testing.assert_close(network.w_in.bias.detach(), made.at().bias_uS[0])
    torch.testing.assert_close(network.w_in.weight.detach().T, made.weights_uS()[0, :64], rtol=1e-4, atol=1e-3)
    with pytest.raises(InputError, match="w_in: no constant input"):
        liquid_of(network)


def euler(graph: Any, x: NDArray[Any], dt: float) -> NDArray[Any]:
    """The differential equations of one recurrent LIF by Euler's step, from the graph's own numbers."""
    w_in, lif, w_rec = (graph.nodes[name] for name in ("w_in", "lif", "w_rec"))
    v = np.zeros((len(x), len(lif.tau)))
    z, spikes = np.zeros_like(v), []
    for t in range(x.shape[1]):
        current = x[:, t] @ w_in.weight.T + w_in.bias + z @ w_rec.weight.T
        v = v + dt / lif.tau * (lif.v_leak - v + lif.r * current)
        z = (v > lif.v_threshold).astype(float)
        v = np.where(z > 0, lif.v_reset, v)
        spikes.append(z)
    return np.stack(spikes, 1)


def graph_of(*, leak: float = 0.0, reset: float = 0.0, tau: float = 2e-3, nested: bool = False) -> Any:
    rng = np.random.default_rng(1)
    neurons, inputs = 9, 5
    lif = nir.LIF(
        tau=np.full(neurons, tau) * rng.uniform(1.0, 2.0, neurons),
        r=rng.uniform(2.0, 4.0, neurons),
        v_leak=np.full(neurons, leak),
        v_threshold=rng.uniform(0.5, 1.0, neurons),
        v_reset=np.full(neurons, reset),
    )
    w_in = nir.Affine(weight=rng.normal(size=(neurons, inputs)), bias=rng.normal(size=neurons))
    w_rec = nir.Linear(weight=rng.normal(size=(neurons, neurons)))
    ends = {"input": nir.Input(np.array([inputs])), "output": nir.Output(np.array([neurons]))}
    loop = [("lif", "w_rec"), ("w_rec", "lif")]
    if nested:
        own = {"input": nir.Input(np.array([neurons])), "output": nir.Output(np.array([neurons]))}
        inner = nir.NIRGraph({**own, "lif": lif, "w_rec": w_rec}, [("input", "lif"), *loop, ("lif", "output")])
        edges = [("input", "w_in"), ("w_in", "cell"), ("cell", "output")]
        return nir.NIRGraph({**ends, "w_in": w_in, "cell": inner}, edges)
    edges = [("input", "w_in"), ("w_in", "lif"), *loop, ("lif", "output")]
    return nir.NIRGraph({**ends, "w_in": w_in, "lif": lif, "w_rec": w_rec}, edges)


@pytest.mark.parametrize("nested", [False, True])
def test_a_population_follows_its_differential_equation(nested: bool, tmp_path: Path) -> None:
    x = np.random.default_rng(2).normal(size=(4, 60, 5))
    wanted = euler(graph_of(), x, 1e-4)
    assert 0.01 < wanted.mean() < 0.6
    nir.write(tmp_path / "net.nir", graph_of(nested=nested))
    network = from_nir(tmp_path / "net.nir").double()
    assert sorted(name for name, _ in network.named_children()) == (
        ["cell_lif", "cell_w_rec", "w_in"] if nested else ["lif", "w_in", "w_rec"]
    )
    assert np.array_equal(network(torch.from_numpy(x)).detach().numpy(), wanted)
    again = from_nir(to_nir(network)).double()
    assert np.array_equal(again(torch.from_numpy(x)).detach().numpy(), wanted)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch.export itself
        short = torch.from_numpy(x[:, :6])
        program = torch.export.export(network, (short,), strict=False, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},))
    assert np.array_equal(program.module()(short[:3]).detach().numpy(), wanted[:3, :6])


def test_a_neuron_without_a_leak_is_nirs_integrate_and_fire() -> None:
    liquid = Liquid(inputs=64, neurons=20, neuron=LIF(decay=1.0, threshold=3.0)).map().software(rng=chips())
    graph = to_nir(network_of(liquid))
    assert isinstance(graph.nodes["neurons"], nir.IF)
    assert np.array_equal(raster(liquid_of(from_nir(graph))[0]), raster(liquid))


def stored_inputs(reference: Path) -> NDArray[Any]:
    with np.load(reference / "snntorch_spikes.npz", allow_pickle=False) as stored:
        return np.asarray(stored["x"])


def test_the_export_of_snntorch_gives_its_spikes() -> None:
    """A recurrent and a feed-forward layer of snnTorch, its own file and its own spikes (``source`` in the npz)."""
    reference = Path(__file__).parents[3] / "reference"
    network = from_nir(reference / "snntorch.nir")
    with np.load(reference / "snntorch_spikes.npz", allow_pickle=False) as stored, torch.no_grad():
        assert 0.02 < stored["spikes"].mean() < 0.6
        found = network(torch.from_numpy(stored["x"]))
        assert np.array_equal(found.numpy(), stored["spikes"])
    assert [stage.recurrent is not None for stage in network.stages] == [False, True, False, False]
    # Its products on tiles, that around the population in every step.
    x = torch.from_numpy(stored_inputs(reference))[:, :5]
    on_chip = mho.convert(network, "exact", example=x)
    assert set(on_chip.tiles) >= {"node_0", "node_2"}
    assert torch.equal(on_chip.program().at(0.0)(x)[0], found[:, :5])


def test_all_nodes_that_mho_does_not_do_are_named() -> None:
    size = np.ones(3)
    parts = {
        "input": nir.Input(np.array([3])),
        "synapse": nir.CubaLIF(tau_syn=size, tau_mem=size, r=size, v_leak=0 * size, v_threshold=size),
        "slow": nir.LI(tau=size, r=size, v_leak=0 * size),
        "rests": nir.LIF(tau=size, r=size, v_leak=size, v_threshold=size),
        "short": nir.LIF(tau=1e-5 * size, r=size, v_leak=0 * size, v_threshold=size),
        "output": nir.Output(np.array([3])),
    }
    names = list(parts)
    graph = nir.NIRGraph(parts, list(itertools.pairwise(names)))
    with pytest.raises(InputError) as error:
        from_nir(graph)
    (problem,) = error.value.problems
    for said in ("'synapse' (CubaLIF)", "'slow' (LI)", "'rests' (LIF): v_leak of 0", "'short' (LIF): tau of at least"):
        assert said in problem
    for leak, reset, said in ((0.1, 0.0, "v_leak"), (0.0, 0.2, "v_reset")):
        with pytest.raises(InputError, match=said):
            from_nir(graph_of(leak=leak, reset=reset))
    with pytest.raises(InputError, match="dt above 0"):
        from_nir(graph_of(), dt_s=0.0)


def test_cycles_of_several_populations_are_refused() -> None:
    size = np.ones(3)
    lif = {name: nir.LIF(tau=size, r=size, v_leak=0 * size, v_threshold=size) for name in ("one", "two")}
    products = {name: nir.Linear(np.eye(3)) for name in ("there", "back")}
    ends = {"input": nir.Input(np.array([3])), "output": nir.Output(np.array([3]))}
    edges = [("input", "one"), ("one", "there"), ("there", "two"), ("two", "back"), ("back", "one"), ("two", "output")]
    with pytest.raises(InputError, match=r"cycles of a population and one product.*left: .*one"):
        from_nir(nir.NIRGraph({**ends, **lif, **products}, edges))


def test_weights_of_another_size_and_nan_are_refused() -> None:
    graph = graph_of()
    graph.nodes["w_rec"].weight = np.ones((4, 9))
    with pytest.raises(InputError, match="lif: an input of 9 values"):
        from_nir(graph)
    graph.nodes["w_rec"].weight = np.full((9, 9), np.nan)
    with pytest.raises(InputError, match=r"'w_rec' \(Linear\): weight: finite numbers"):
        from_nir(graph)


def test_one_sentence_for_each_bad_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "net.nir"
    nir.write(path, graph_of())
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    for trial in range(120):
        data = bytearray(whole if trial % 2 else whole[: rng.integers(0, len(whole))])
        for place in rng.integers(0, len(data), 4 if data else 0):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        try:
            from_nir(path)
        except InputError as error:
            message = str(error)
            if "\n" in message or str(path) not in message:
                raise AssertionError(message) from error
    assert capfd.readouterr() == ("", "")
    path.unlink()
    with pytest.raises(InputError, match="no such file"):
        from_nir(path)


def test_files_that_point_elsewhere_or_promise_too_much_are_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "net.nir", tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["weight"] = np.eye(3)

    def external(file: Any) -> None:
        file["node/nodes/w_rec/weight"] = h5py.ExternalLink(str(other), "/weight")

    def soft(file: Any) -> None:
        file["node/nodes/w_rec/weight"] = h5py.SoftLink("/node/nodes/w_in/weight")

    def stored_elsewhere(file: Any) -> None:
        file.create_dataset("node/nodes/w_rec/weight", (9, 9), "f8", external=[(str(other), 0, 648)])

    def virtual(file: Any) -> None:
        layout = h5py.VirtualLayout((3, 3), "f8")
        layout[:] = h5py.VirtualSource(str(other), "weight", (3, 3))
        file.create_virtual_dataset("node/nodes/w_rec/weight", layout)

    def endless(file: Any) -> None:
        file["node/nodes/w_rec/weight"] = file["node"]

    def vast(file: Any) -> None:
        file.create_dataset("node/nodes/w_rec/weight", (1 << 20, 1 << 20), "f8", chunks=(1024, 1024))

    for change, said in (
        (external, "a link"),
        (soft, "a link"),
        (stored_elsewhere, "another file"),
        (virtual, "another file"),
        (endless, "levels"),
        (vast, "promises more"),
    ):
        nir.write(path, graph_of())
        with h5py.File(path, "a") as file:
            del file["node/nodes/w_rec/weight"]
            change(file)
        with pytest.raises(InputError, match=said):
            from_nir(path)
