"""Draw the pictures and the table of the page on deconvolution; Levin's set must be there.

::

    python docs/draw_deconvolution.py levin09=PATH PHOTO...

The photographs are Koehler's (ECCV 2012), whose restorations are shown; without any they stay.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

from deblurlib import classical, degrade, evaluation, files, images, machine, metrics, plots, psf
from deblurlib import restoration as r
from deblurlib.data import open_images, open_pairs

OUT = Path(__file__).parent / "deconvolution"
PAGE = Path(__file__).parent / "deconvolution.md"
BEGIN, END = "<!-- written by draw_deconvolution.py: {} -->", "<!-- until here -->"
SHIFT = 8  # pixels by which the results of methods that find the kernel are moved to fit
FINDING = ("blind-richardson-lucy", "blind-richardson-lucy-gaussian", "kernelnet-rl", "srn")
FINDING += ("blind-edges", "richardson-lucy-tv")
SHOWN = ("wiener", "richardson-lucy", "richardson-lucy-tv", "plug-and-play")
SHOWN += ("blind-richardson-lucy",)
CASES = ("im02_ker06", "im03_ker04")


def main() -> None:
    pairs = open_pairs(sys.argv[1], "test")
    save(measured(pairs), "levin")
    save(boundaries(), "boundaries")
    save(iterations(), "iterations")
    save(saturation(), "saturation")
    save(patches(), "patches")
    scores(pairs)
    found = [r.METHODS["blind-edges"].for_image(images.grey(y)[None])[1][0] for y, _ in pairs]
    save(found_kernels(pairs, found), "found")
    blind_scores(pairs, found)
    if len(sys.argv) > 2:
        save(shaken([Path(name) for name in sys.argv[2:]]), "shaken")


def save(fig, name: str) -> None:
    (OUT / f"{name}.png").write_bytes(plots.png(fig, dpi=110))


def caption(name: str, x_hat: torch.Tensor, x: torch.Tensor) -> str:
    return f"{name}\n{metrics.psnr(images.quantise(x_hat), x).item():.1f} dB"


def measured(pairs):
    """Two of Levin's photographs and what the methods make of them."""
    pictures = {}
    stems = [Path(name).stem for name in pairs.names]
    for n, stem in enumerate(CASES):
        i = stems.index(stem)
        y, x = (z[None] for z in pairs[i])
        shown = {"blurred": y} | {m: r.METHODS[m](y, pairs.kernel(i)) for m in SHOWN} | {"sharp": x}
        for name, image in shown.items():
            told = name if name == "sharp" else caption(name, image, x)
            pictures[told + " " * n] = image[0, :1, 60:200, 60:200].clamp(0, 1)  # a key of its own
        pictures[" " * (n + 1)] = shown_kernel(pairs.kernel(i))
    return plots.show(pictures, columns=4)


def shown_kernel(k: torch.Tensor) -> torch.Tensor:
    """A kernel, as bright as can be, in the middle of a square."""
    wide = psf.stack([k, torch.zeros(35, 35)])[0]
    return images.centre_crop(wide[None], 35)[0] / wide.max()


def boundaries():
    """The lower left corner of a photograph whose surroundings blurred into it."""
    x = images.centre_crop(open_images("sample", "test")[0], 300, 450)[None]
    k = psf.shake(torch.Generator().manual_seed(5), 20, 21)
    y = images.quantise(degrade.add_noise(degrade.convolve(x, k, "valid"), 0.003, 0, [0]))
    x = x[..., 10:-10, 10:-10]
    results = {"blurred": y}
    for name in ("circular", "zero", "reflect", "valid"):
        results[f"RL, {name}"] = classical.richardson_lucy(y, k, 30, name)
    for name in ("circular", "taper", "liu-jia"):
        results[f"Wiener, {name}"] = classical.wiener(y, k, sigma=0.005, boundary=name)
    corner = (0, slice(None), slice(-150, None), slice(None, 150))
    return plots.show(
        {caption(n, z, x): z[corner].clamp(0, 1) for n, z in results.items()}, columns=4
    )


def iterations():
    """PSNR after each iteration, plain and accelerated, with little noise and with more."""
    fig, axes = plots.figure(1, 2, 3.0, sharey=True)
    test = open_images("sample", "test")
    k = psf.gaussian(2.0)
    for ax, noise in zip(axes[0], (0.002, 0.01), strict=True):
        cases = []
        for i in range(len(test)):
            x = images.centre_crop(test[i], 200, 200)[None]
            y = degrade.add_noise(degrade.convolve(x, k), noise, 0, [i])
            cases.append((x, images.quantise(y)))
        for label, options in {
            "plain": {},
            "accelerated": {"accelerate": True},
            "accelerated, total variation": {"accelerate": True, "tv": 0.002},
        }.items():
            counts = [1, 2, 3, 5, 7, 10, 14, 20, 28, 40, 57, 80]
            means = [mean_psnr(cases, k, n, options) for n in counts]
            ax.plot(counts, means, marker=".", label=label)
        identity = sum(metrics.psnr(y, x).item() for x, y in cases) / len(cases)
        ax.axhline(identity, color="grey", ls="--", label="identity")
        ax.set(xscale="log", xlabel="iterations", title=f"noise {noise}")
        ax.set_xticks([1, 3, 10, 30, 80], ["1", "3", "10", "30", "80"])
        ax.minorticks_off()
    axes[0, 0].set_ylabel("PSNR, dB")
    axes[0, 0].legend(fontsize=9)
    return fig


def mean_psnr(cases, k, n: int, options: dict) -> float:
    values = [
        metrics.psnr(images.quantise(classical.richardson_lucy(y, k, n, **options)), x).item()
        for x, y in cases
    ]
    return sum(values) / len(values)


def saturation():
    """Lamps that were clipped: their light is missing from the equation."""
    x = images.centre_crop(open_images("sample", "test")[2], 180, 240)[None] * 0.6
    generator = torch.Generator().manual_seed(1)
    for _ in range(9):
        top, left = (int(torch.randint(20, n - 20, (), generator=generator)) for n in (180, 240))
        x[..., top : top + 4, left : left + 4] = 8.0
    k = psf.shake(torch.Generator().manual_seed(2), 18, 19)
    y = images.quantise(degrade.convolve(x, k))
    sharp = x.clamp(0, 1)
    plain = classical.richardson_lucy(y, k, 40)
    masked = classical.richardson_lucy(y, k, 40, weights=classical.unsaturated(y))
    results = {"blurred, clipped": y, "all pixels count": plain, "clipped ones do not": masked}
    pictures = {caption(n, z, sharp): z[0].clamp(0, 1) for n, z in results.items()}
    return plots.show(pictures | {"sharp": sharp[0]}, columns=4)


def patches():
    """A blur that grows to the right, undone in patches with the kernel of their middle."""
    x = images.centre_crop(open_images("sample", "test")[0], 240, 400)[None]

    def row(places: list[float]) -> torch.Tensor:  # from the left edge, 0, to the right one, 1
        return torch.stack([psf.gaussian(1 + 2 * place, 19) for place in places])

    field = row([n / 16 for n in range(17)])
    y = degrade.convolve_field(x, field, degrade.grid_weights(240, 400, 1, 17), "result")
    kernels = row([(n + 0.5) / 4 for n in range(4)]).expand(2, -1, -1, -1)
    y = images.quantise(degrade.add_noise(y, 0.003, 0, [0]))
    results = {"blurred": (y, 0)}
    for name, overlap in (("side by side", 0), ("overlapping, blended", 38)):
        z = r.restore_patches(y, kernels, lambda y, k: classical.richardson_lucy(y, k, 40), overlap)
        results[name] = (z, overlap)
    pictures = {}
    for name, (z, overlap) in results.items():
        seams = r.seam_energy(z, *r.seams(x.shape[-2:], (2, 4), overlap)).item()
        pictures[f"{caption(name, z, x)}, seam energy {seams:.1f}"] = z[0].clamp(0, 1)
    return plots.show(pictures, columns=3, zoom=(70, 150, 100))


def scores(pairs) -> None:
    """All methods on Levin's set, as a table."""
    methods = [m for m in r.METHODS.values() if m.name != "identity"]
    methods += [r.find_method(name) for name in r.shipped()]
    lines = evaluation.summary(evaluation.evaluate(methods, evaluation.cases_of_pairs(pairs)))
    rows = ["| method | kernel | PSNR | gain | SSIM | images better | s/image |"]
    rows += ["| :--- | :--- | ---: | ---: | ---: | ---: | ---: |"]
    for line in lines:
        kernel = "" if r.find_method(line["method"]).blind else "known"
        cells = [f"`{line['method']}`", kernel, *told(line), f"{line['seconds']:.2f}"]
        rows.append(f"| {' | '.join(cells)} |")
    write(pairs, "levin", rows, lines)


def told(line: dict) -> list[str]:
    """PSNR, gain, SSIM and the share of images that are better, as text."""
    gain, better = f"{line['psnr_gain']:+.2f}", f"{line['win_rate']:.0%}"
    if line["method"] == "identity":
        gain = better = ""
    return [f"{line['psnr']:.2f}", gain, f"{line['ssim']:.4f}", better]


def blind_scores(pairs, found: list[torch.Tensor]) -> None:
    """The methods that are not told the kernel, after the best shift, and how far off they are."""
    methods = [r.find_method(name) for name in FINDING]
    rows = evaluation.evaluate(methods, evaluation.cases_of_pairs(pairs), align=SHIFT)
    lines = evaluation.summary(rows)
    errors = kernel_errors(pairs, found)
    text = ["| method | kernel error | PSNR | gain | SSIM | images better |"]
    text += ["| :--- | ---: | ---: | ---: | ---: | ---: |"]
    for line in lines:
        known = "0 (known)" if line["method"] == "richardson-lucy-tv" else ""
        line["kernel_error"] = errors.get(line["method"])
        error = known if line["kernel_error"] is None else f"{line['kernel_error']:.2f}"
        cells = [f"`{line['method']}`", error, *told(line)]
        text.append(f"| {' | '.join(cells)} |")
    write(pairs, "found", text, lines)


def kernel_errors(pairs, found: list[torch.Tensor]) -> dict[str, float]:
    """The mean relative squared error of the kernels, by method; of no blur for the identity."""
    errors: dict[str, list[float]] = {}
    network = r.find_method("kernelnet-rl")
    for i, k in enumerate(found):
        y, true = images.grey(pairs[i][0])[None], pairs.kernel(i)
        kernels = {"identity": torch.ones(1, 1), "blind-edges": k}
        kernels["kernelnet-rl"] = network.for_image(y)[1][0]
        for name, start in {
            "blind-richardson-lucy": torch.ones(5, 5),
            "blind-richardson-lucy-gaussian": psf.gaussian(1.0),
        }.items():
            kernels[name] = classical.blind_richardson_lucy(y, start, 3)[1][0]
        for name, kernel in kernels.items():
            errors.setdefault(name, []).append(psf.distance(kernel, true).item())
    return {name: sum(values) / len(values) for name, values in errors.items()}


def found_kernels(pairs, found: list[torch.Tensor]):
    """Levin's kernels, and those that were found in each picture."""
    count = len(found) // 3
    shown = {f"kernel {n + 1}": shown_kernel(pairs.kernel(n)) for n in range(count)}
    for i, k in enumerate(found):
        error = psf.distance(k, pairs.kernel(i)).item()
        shown[f"picture {i // count + 1}: {error:.2f}" + " " * (i % count)] = shown_kernel(k)
    return plots.show(shown, columns=count)


def shaken(photos: list[Path]):
    """A detail of each photograph, restored, and the kernel that was found."""
    method, rows = r.METHODS["blind-edges"], ({}, {}, {})
    for n, path in enumerate(photos):
        y = files.read_image(path)
        known, kernels = method.for_image(y[None])
        x_hat = r.restore(y, known, kernels[0])
        detail = (slice(None), slice(300, 500), slice(300, 500))
        rows[0][path.stem] = y[detail]
        rows[1]["restored" + " " * n] = x_hat[detail]
        rows[2]["its kernel" + " " * n] = shown_kernel(kernels[0])
    return plots.show(rows[0] | rows[1] | rows[2], columns=len(photos))


def write(pairs, name: str, rows: list[str], lines: list[dict]) -> None:
    """Put a table into the page, and its numbers beside it."""
    begin = BEGIN.format(name)
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{begin}\n{chr(10).join(rows)}\n{END}{after}", "utf-8")
    stamp = {"data": pairs.name, "fingerprint": pairs.fingerprint, "n": len(pairs)}
    stamp |= {"device": machine.device_name("cpu"), "versions": machine.versions()}
    results = json.dumps(stamp | {"summary": lines}, indent=1)
    (OUT / f"{name}.json").write_text(results + "\n", "utf-8")


if __name__ == "__main__":
    main()
