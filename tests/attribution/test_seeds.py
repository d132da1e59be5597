"""Does alignment undo what a seed may do to an embedding, and agreement see what it may not?"""

from itertools import permutations

import jaxtyping
import pytest
import torch
from scipy import stats
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from sitscope.attribution import seeds
from sitscope.attribution.correlation import pearson


def embeddings(seed: int = 0, n: int = 200, d: int = 4) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, dtype=torch.float64, generator=generator) * torch.arange(1, d + 1) + 3


def turned(e: Tensor, seed: int = 1) -> tuple[Tensor, Tensor]:
    """e rotated, stretched and moved, and the rotation."""
    d = e.shape[1]
    generator = torch.Generator().manual_seed(seed)
    q, _ = torch.linalg.qr(torch.randn(d, d, dtype=torch.float64, generator=generator))
    return 0.3 * e @ q - 7, q


def test_procrustes_undoes_a_rotation() -> None:
    e = embeddings()
    other, q = turned(e)
    found = seeds.procrustes(e, other)
    torch.testing.assert_close(found.mix, q.T / 0.3)
    torch.testing.assert_close(found.embedding(other), e)
    assert found.explained == pytest.approx(1, abs=1e-12)


def test_procrustes_is_that_of_scipy_and_the_scale_the_best() -> None:
    a, b = embeddings(0), turned(embeddings(0))[0] + embeddings(2)
    found = seeds.procrustes(a, b)
    ca, cb = a - a.mean(0), b - b.mean(0)
    rotation, trace = orthogonal_procrustes(cb.numpy(), ca.numpy())
    slow = torch.as_tensor(rotation * trace) / cb.square().sum()
    torch.testing.assert_close(found.mix, slow, rtol=0, atol=1e-9)

    def error(mix: Tensor) -> float:
        return float((ca - cb @ mix).square().sum())

    for factor in (0.99, 1.01):
        assert error(found.mix) < error(factor * found.mix)
    for seed in range(50):
        assert error(found.mix) <= error(found.mix @ turned(a, seed)[1])
    assert found.explained == pytest.approx(1 - error(found.mix) / float(ca.square().sum()))


def test_matching_undoes_a_permutation_with_signs_and_scales() -> None:
    e = embeddings()
    other = e[:, [2, 0, 3, 1]] * torch.tensor([-1, 5, 0.1, -3]) + 2
    found = seeds.matching(e, other)
    torch.testing.assert_close(found.embedding(other), e)
    assert ((found.mix != 0).sum(0) == 1).all()
    assert ((found.mix != 0).sum(1) == 1).all()


def test_matching_is_the_best_of_all_pairings() -> None:
    for seed in range(20):
        a, b = embeddings(seed), embeddings(seed + 100) + embeddings(seed).flip(1)
        found = seeds.matching(a, b)
        correlation = pearson(*torch.broadcast_tensors(b.T[:, None], a.T[None])).abs()  # (d of b, d of a)
        best = max(permutations(range(4)), key=lambda p: sum(float(correlation[j, i]) for j, i in enumerate(p)))
        assert found.mix.abs().argmax(1).tolist() == list(best)
        for j, i in enumerate(best):
            assert found.mix[j, i].item() == pytest.approx(stats.linregress(b[:, j], a[:, i]).slope, rel=1e-9)


@pytest.mark.parametrize("align", [seeds.procrustes, seeds.matching])
def test_importance_of_the_aligned_embedding_is_the_aligned_importance(align: seeds.Align) -> None:
    """Contributions to an embedding are linear in it: explain first or align first, it is the same."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 1, 30, dtype=torch.float64, generator=generator)
    first, last = torch.randn(30, 8, generator=generator).double(), torch.randn(8, 4, generator=generator).double()

    def e_b(x: Tensor) -> Tensor:
        return (x.flatten(1) @ first).tanh() @ last

    def contributions(embed: object, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        e = embed(x)  # type: ignore[operator]
        return torch.stack([torch.autograd.grad(e[:, i].sum(), x, retain_graph=True)[0][:, 0] for i in range(4)], 1)

    alignment = align(embeddings(n=50), e_b(x))
    ours = alignment.importance(contributions(e_b, x))
    torch.testing.assert_close(ours, contributions(lambda x: alignment.embedding(e_b(x)), x))


def test_runs_that_differ_by_a_rotation_agree() -> None:
    e = embeddings()
    other, q = turned(e)
    profiles = torch.randn(5, 4, 61, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    mixed = 0.3 * torch.einsum("mjt,ji->mit", profiles, q)
    found = seeds.agreement(profiles, mixed, e, other)
    torch.testing.assert_close(found.importance, profiles)
    torch.testing.assert_close(found.correlation, torch.ones(5, 4, dtype=torch.float64))
    for m in range(5):
        for d in range(4):
            slow = stats.spearmanr(profiles[m, d], found.importance[m, d]).statistic
            assert found.correlation[m, d].item() == pytest.approx(slow, abs=1e-9)
    assert seeds.agreement(profiles, mixed, e, other, correlation=pearson).correlation.min() > 0.999
    assert seeds.agreement(profiles, mixed, e, other, align=seeds.matching).alignment.explained < 0.99


def test_runs_that_have_nothing_in_common_do_not_agree() -> None:
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 30, 4, 61, dtype=torch.float64, generator=generator)
    found = seeds.agreement(a, b, embeddings(0, n=5000), embeddings(9, n=5000))
    assert found.correlation.abs().mean() < 0.2
    assert found.alignment.explained < 0.05


def test_runs_of_two_dimensions_may_be_mirrored() -> None:
    e = embeddings(d=2)
    found = seeds.procrustes(e, e * torch.tensor([1, -1]))
    assert torch.linalg.det(found.mix).item() == pytest.approx(-1)


def test_what_cannot_be_aligned_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # as a user runs it
    e, profiles = embeddings(), torch.randn(3, 4, 61)
    for align in (seeds.procrustes, seeds.matching):
        with pytest.raises(ValueError, match=r"\(200, 4\) and \(200, 3\)"):
            align(e, e[:, :3])
        with pytest.raises(ValueError, match="run b is constant"):
            align(e, torch.full_like(e, 0.1))
        with pytest.raises(ValueError, match="run a is constant or not finite"):
            align(e * torch.nan, e)
    still = e.clone()
    still[:, 2] = 0.1
    with pytest.raises(ValueError, match=r"\[2\] of run b"):
        seeds.matching(e, still)
    with pytest.raises(ValueError, match=r"\(3, 4, 61\) and \(2, 4, 61\)"):
        seeds.agreement(profiles, profiles[:2], e, e)
    with pytest.raises(ValueError, match=r"\(200, 3\)"):
        seeds.agreement(profiles, profiles, e[:, :3], e[:, :3])
