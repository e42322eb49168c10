"""The classifier in scikit-learn's manner: ``fit`` stores the table, ``predict_proba`` asks the network once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from claimbench.papers.tabpfn import ensemble, preprocessing

if TYPE_CHECKING:
    from torch import nn


@cache
def _checkpoint(name: str) -> tuple[nn.Module, dict[str, Any]]:
    from claimbench.papers.tabpfn.checkpoints import load_checkpoint

    return load_checkpoint(name)


class ClaimBenchTabPFNClassifier(ClassifierMixin, BaseEstimator):
    """TabPFN (Hollmann et al. 2023): a prior-fitted transformer that classifies a small table in one pass.

    Args:
        network: name of a checkpoint of this package, or a pair of a network and its configuration. The network maps
            (batch, rows, max_features) and labels (batch, labelled rows) to logits (batch, queries, max_classes); the
            configuration has ``max_features``, ``max_classes``, ``max_rows``.
        members: of the ensemble; 1 is the table as it stands, up to a shift of classes and a rotation of columns.
        temperature: logits are divided by it.
        batch: members in one forward pass.
        more_rows: take more training rows than the network was trained with.
        device: of torch.
        random_state: decides the ensemble.

    Attributes:
        classes_: labels in ascending order.
        members_: the ensemble.
    """

    def __init__(
        self,
        network: str | tuple[nn.Module, dict[str, Any]] = "mini",
        *,
        members: int = 8,
        temperature: float = ensemble.TEMPERATURE,
        batch: int = 4,
        more_rows: bool = False,
        device: str = "cpu",
        random_state: int | np.random.RandomState | None = 0,
    ) -> None:
        self.network = network
        self.members = members
        self.temperature = temperature
        self.batch = batch
        self.more_rows = more_rows
        self.device = device
        self.random_state = random_state

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _network(self) -> tuple[nn.Module, dict[str, Any]]:
        if isinstance(self.network, str):
            return _checkpoint(self.network)
        return self.network

    def fit(self, X: Any, y: Any) -> ClaimBenchTabPFNClassifier:
        """Store a table.

        Args:
            X: (n, features) numbers; NaN where one is missing.
            y: (n,) labels.

        Raises:
            ValueError: more rows, features or classes than the network takes, or a single class.
        """
        X, y = validate_data(self, X, y, dtype=np.float64, ensure_all_finite="allow-nan")
        check_classification_targets(y)
        self.classes_, self.y_ = np.unique(y, return_inverse=True)
        self.X_ = X
        configuration = self._network()[1]
        for what, has, most in (
            ("features", X.shape[1], configuration["max_features"]),
            ("classes", len(self.classes_), configuration["max_classes"]),
            ("rows", len(X), len(X) if self.more_rows else configuration["max_rows"]),
        ):
            if has > most:
                hint = " (more_rows=True takes more)" if what == "rows" else ""
                raise ValueError(f"the table has {has} {what}; this network takes at most {most}{hint}")
        if len(self.classes_) < 2:
            raise ValueError("y has 1 class; a classifier needs at least 2 classes")
        if self.members < 1:
            raise ValueError(f"members is {self.members!r}; allowed: at least 1")
        random = check_random_state(self.random_state)
        self.members_ = ensemble.members(self.members, len(self.classes_), X.shape[1], random)
        return self

    def logits(self, X: Any) -> list[NDArray[np.float32]]:
        """Of each member (m, classes), the classes in its own notation; no statistic of ``X`` is used."""
        import torch

        check_is_fitted(self)
        X = validate_data(self, X, reset=False, dtype=np.float64, ensure_all_finite="allow-nan")
        net, configuration = self._network()
        net = net.to(self.device)
        classes, n = len(self.classes_), len(self.X_)
        table = np.concatenate([self.X_, X])
        prepared = {
            raised: preprocessing.prepare(table, n, raised) for raised in {member.raised for member in self.members_}
        }
        found: list[NDArray[np.float32]] = []
        with torch.inference_mode():
            for start in range(0, len(self.members_), self.batch):
                group = self.members_[start : start + self.batch]
                x = np.stack(
                    [
                        preprocessing.pad(
                            ensemble.rotated(prepared[member.raised], member.rotation), configuration["max_features"]
                        )
                        for member in group
                    ]
                )
                labels = np.stack([(self.y_ + member.shift) % classes for member in group]).astype(np.float32)
                logits = net(torch.from_numpy(x).to(self.device), torch.from_numpy(labels).to(self.device))
                found += list(logits[..., :classes].float().cpu().numpy())
        return found

    def averaged(self, logits: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Probabilities (m, classes) from the :meth:`logits` of the first members."""
        return ensemble.probabilities(logits, self.members_[: len(logits)], self.temperature)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Probabilities (m, classes) in the order of ``classes_``; no statistic of ``X`` is used."""
        return self.averaged(self.logits(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """The most probable label of each row."""
        check_is_fitted(self)
        return np.asarray(self.classes_[self.predict_proba(X).argmax(1)])
