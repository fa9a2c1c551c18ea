"""ME-GraphAU: each Action Unit a node, how two act together an edge.

After Luo, Song, Xie, Shen & Gunes (IJCAI 2022), Learning multi-dimensional edge feature-based AU relation
graph for facial Action Unit recognition; in our own code.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as fn

from duchenne.analysis.models.backbones import ResNet
from duchenne.analysis.models.outputs import Answer
from duchenne.analysis.models.registry import model

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = 512
NEIGHBOURS = 4
SMALLEST = 1e-8
EDGE_SHARE = 0.05
"""Weight of the edge loss (ResNet-50 on BP4D; 0.01 for a Swin transformer on DISFA)."""


class _LinearBlock(nn.Module):
    """Linear, batch normalisation over features, rectifier, for (b, positions, n_in)."""

    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__()
        self.linear = nn.Linear(n_in, n_out)
        self.norm = nn.BatchNorm1d(n_out)

    def forward(self, x: Tensor) -> Tensor:
        normed: Tensor = self.norm(self.linear(x).transpose(1, 2)).transpose(1, 2)
        return torch.relu(normed)


class _Attention(nn.Module):
    """One head in which the positions of one thing look at those of another."""

    def __init__(self) -> None:
        super().__init__()
        self.query = nn.Linear(WIDTH, WIDTH // 2)
        self.key = nn.Linear(WIDTH, WIDTH // 2)
        self.value = nn.Linear(WIDTH, WIDTH)

    def forward(self, of: Tensor, at: Tensor) -> Tensor:
        """Return (..., positions, 512) of two such tensors."""
        scores = self.query(of) @ self.key(at).transpose(-1, -2) * (WIDTH // 2) ** -0.5
        found: Tensor = scores.softmax(dim=-1) @ self.value(at)
        return found


class NearestGraph(nn.Module):
    """First stage: an edge where two Action Units are alike in this face."""

    def __init__(self, n_units: int, neighbours: int) -> None:
        super().__init__()
        self.neighbours = min(neighbours, n_units)
        self.of_others = nn.Linear(WIDTH, WIDTH)
        self.own = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.BatchNorm1d(n_units)

    def forward(self, nodes: Tensor) -> Tensor:
        """Return nodes that know their neighbours: (b, n_units, 512)."""
        alike = (nodes @ nodes.transpose(1, 2)).detach()
        least = alike.topk(self.neighbours, dim=2).values[..., -1:]
        edges = (alike >= least).to(nodes.dtype)
        degree = edges.sum(dim=2).clamp(min=SMALLEST) ** -0.5
        edges = degree[:, :, None] * edges * degree[:, None, :]
        mixed = edges @ self.of_others(nodes) + self.own(nodes)
        return torch.relu(nodes + self.norm(mixed))


class GatedLayer(nn.Module):
    """Graph convolution with gates from edge features (Bresson & Laurent 2017)."""

    def __init__(self, n_units: int) -> None:
        super().__init__()
        self.own, self.of_others, self.first, self.second, self.edge = (
            nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(5)
        )
        self.node_norm = nn.BatchNorm1d(n_units)
        self.edge_norm = nn.BatchNorm1d(n_units**2)

    def forward(self, nodes: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Return nodes (b, n, 512) and edges (b, n, n, 512), both with what was there before."""
        b, n, width = nodes.shape
        seen = self.first(nodes)[:, :, None] + self.second(nodes)[:, None] + self.edge(edges)
        edges = edges + torch.relu(self.edge_norm(seen.reshape(b, n * n, width))).view_as(edges)
        gates = torch.sigmoid(edges).softmax(dim=2)
        mixed = self.own(nodes) + (gates * self.of_others(nodes)[:, None]).sum(dim=2) / n
        return torch.relu(nodes + self.node_norm(mixed)), edges


class EdgeGraph(nn.Module):
    """Second stage: what two Action Units do together, as the features of an edge."""

    def __init__(self, n_units: int) -> None:
        super().__init__()
        self.n_units = n_units
        self.to_face, self.to_other = _Attention(), _Attention()
        self.project = nn.Linear(WIDTH, WIDTH)
        self.norm = nn.BatchNorm2d(n_units**2)
        self.layers = nn.ModuleList(GatedLayer(n_units) for _ in range(2))

    def forward(self, units: Tensor, face: Tensor, nodes: Tensor) -> tuple[Tensor, Tensor]:
        """Return nodes (b, n, 512) and edges (b, n, n, 512).

        Parameters
        ----------
        units : (b, n, positions, 512) Tensor
        face : (b, positions, 512) Tensor
        nodes : (b, n, 512) Tensor
        """
        b, n = nodes.shape[:2]
        active = self.to_face(units, face[:, None])
        rows = [self.to_other(active[:, i : i + 1], active) for i in range(n)]
        pairs = torch.stack(rows, dim=1).flatten(1, 2)
        edges = self.norm(self.project(pairs)).mean(dim=2).view(b, n, n, WIDTH)
        for layer in self.layers:
            nodes, edges = layer(nodes, edges)
        return nodes, edges


@model(
    "me_graphau",
    task="occurrence",
    input_px=224,
    alignment="A2",
    preprocessing="ImageNet mean and standard deviation",
    paper="Luo et al. 2022, ME-GraphAU (IJCAI)",
    weights="the authors' code is MIT; their weights stand under the terms of BP4D and DISFA",
)
class MeGraphAu(nn.Module):
    """ResNet-50, one node per Action Unit, one of the two graphs, similarity to a trained vector.

    Parameters
    ----------
    n_outputs : int
        Action Units.
    stage : {2, 1}
        2 learns edge features (MEFL), 1 connects nearest nodes (ANFL) and is trained first.
    neighbours : int
        Of the first stage: 4 for BP4D, 3 for DISFA.
    edge_share : float
        Weight of the edge loss of the second stage.
    """

    def __init__(
        self,
        n_outputs: int = 12,
        stage: int = 2,
        neighbours: int = NEIGHBOURS,
        edge_share: float = EDGE_SHARE,
    ) -> None:
        super().__init__()
        self.edge_share = edge_share
        if stage not in (1, 2):
            raise ValueError(f"there are stages 1 and 2, not {stage}")
        self.body = ResNet(50)
        self.face = _LinearBlock(self.body.n_channels, WIDTH)
        self.units = nn.ModuleList(_LinearBlock(WIDTH, WIDTH) for _ in range(n_outputs))
        self.nearest = NearestGraph(n_outputs, neighbours) if stage == 1 else None
        self.graph = EdgeGraph(n_outputs) if stage == 2 else None
        self.edge_classes = nn.Linear(WIDTH, 4) if stage == 2 else None
        self.wanted = nn.Parameter(nn.init.xavier_uniform_(torch.empty(n_outputs, WIDTH)))

    def forward(self, images: Tensor) -> Answer:
        """Return probabilities, cosines of rectified vectors, of images (b, 3, 224, 224).

        ``extra["edge_logits"]`` are the four classes of each pair (b, n, n, 4), in the second stage.
        """
        x = self.body(images)
        face = self.face(x.flatten(2).transpose(1, 2))
        units = torch.stack([block(face) for block in self.units], dim=1)
        nodes = units.mean(dim=2)
        extra: dict[str, Tensor] = {}
        if self.nearest is not None:
            nodes = self.nearest(nodes)
        elif self.graph is not None and self.edge_classes is not None:
            nodes, edges = self.graph(units, face, nodes)
            extra["edge_logits"] = self.edge_classes(edges)
        cosine = fn.cosine_similarity(torch.relu(nodes), torch.relu(self.wanted), dim=2)
        side = x.shape[-1]
        maps = units.detach().norm(dim=3).view(len(images), -1, side, side)
        return Answer(cosine, features=nodes.mean(dim=1), maps={"attention": maps}, extra=extra)

    def load_first_stage(self, first: MeGraphAu) -> None:
        """Take over what the first stage has learnt and the second one has too."""
        own = self.state_dict()
        own.update({k: v for k, v in first.state_dict().items() if k in own})
        self.load_state_dict(own)


def asymmetric_loss(probabilities: Tensor, truth: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted asymmetric loss.

    ``-mean_i w_i (y log p + (1 - y) p log(1 - p))``; the factor p, which lets what is certainly absent count
    less, has no gradient.

    Parameters
    ----------
    probabilities, truth : (b, k) Tensor
        Truth 1, 0, or NaN where not known.
    weights : (k,) Tensor
        Mean 1, larger for rare ones.
    """
    known = torch.isfinite(truth)
    y = torch.nan_to_num(truth)
    shown = y * probabilities.clamp(min=SMALLEST).log()
    focus = probabilities.detach()
    absent = (1 - y) * focus * (1 - probabilities).clamp(min=SMALLEST).log()
    total = (weights * (shown + absent) * known).sum()
    return -total / known.sum().clamp(min=1)


def edge_loss(logits: Tensor, truth: Tensor) -> Tensor:
    """Return the cross entropy of what each pair does: class ``2 y_i + y_j``.

    Parameters
    ----------
    logits : (b, n, n, 4) Tensor
    truth : (b, n) Tensor
        Pairs with a unit that is not known (NaN) are left out.
    """
    known = torch.isfinite(truth)
    y = torch.nan_to_num(truth).long()
    classes = 2 * y[:, :, None] + y[:, None, :]
    both = known[:, :, None] & known[:, None, :]
    if not bool(both.any()):
        return logits.sum() * 0.0
    return fn.cross_entropy(logits[both], classes[both])


def graph_loss(
    answer: Answer, truth: Tensor, weights: Tensor, edge_share: float = EDGE_SHARE
) -> dict[str, Tensor]:
    """Return the named losses and their ``total``."""
    losses = {"asymmetric": asymmetric_loss(answer.values, truth, weights)}
    total = losses["asymmetric"]
    if "edge_logits" in answer.extra:
        losses["edges"] = edge_loss(answer.extra["edge_logits"], truth)
        total = total + edge_share * losses["edges"]
    return {"total": total, **losses}
