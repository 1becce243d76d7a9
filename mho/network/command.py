"""The command ``mho cost``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from mho.options import AsJson, path_option


def cost(
    model: Annotated[
        str,
        typer.Argument(
            help="An ONNX file, a YAML file of layers, an experiment of kind network, the folder of a saved network, "
            "or FILE.py:FUNCTION (your function that gives a torch module; it is run)."
        ),
    ],
    chip: Annotated[
        str | None,
        typer.Option(
            help="A shipped chip (mho list chips), or a YAML file. A saved network has its own; all others need one."
        ),
    ] = None,
    example: Annotated[
        str | None,
        typer.Option(metavar="SIZES", help="Sizes of one sample, as in 3x32x32, in place of the model's own."),
    ] = None,
    replicas: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[LAYER=]NUMBER",
            help="Copies of a layer's arrays, which take turns at the positions of a convolution or a sequence: a "
            "number for all layers, or conv1=4 (also a pattern; may be given several times).",
        ),
    ] = None,
    shared_tiles: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER", help="Layers that may share tiles: a name or a pattern; may be given several times."
        ),
    ] = None,
    output: Annotated[
        Path | None, path_option("-o", "--output", help="Folder to write: cost.json, tables, trace.json, cost.html.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Price a model on a chip: area, energy and latency of one inference, without training or programming.

    Lists the layers on tiles, and what is computed digitally with the reason; both are priced.
    """
    from mho.network import cost as pricing

    found = pricing.price_model(model, chip, example=example, replicas=replicas or (), shared_tiles=shared_tiles or ())
    typer.echo(json.dumps(found.record, indent=1) if as_json else pricing.text(found))
    if output is not None:
        page = pricing.write(found, output)
        if not as_json:
            typer.echo(f"\npage: {page}")
