"""What SemSpaceFL (arXiv 2505.00966) prints in Tables II to V."""

from __future__ import annotations

from collections.abc import Mapping

SNRS_DB = (1, 3, 5, 7, 9, 11)
METRICS = ("psnr_db", "ms_ssim")
Column = tuple[float, ...]

FEDAVG: Mapping[str, Column] = {
    "psnr_db": (26.2396, 27.0906, 27.7784, 28.2838, 28.6300, 28.8552),
    "ms_ssim": (0.8691, 0.8993, 0.9203, 0.9342, 0.9429, 0.9480),
}
FEDAVEP: Mapping[str, Column] = {
    "psnr_db": (26.4792, 27.4338, 28.1848, 28.7330, 29.1072, 29.3452),
    "ms_ssim": (0.8754, 0.9056, 0.9257, 0.9388, 0.9470, 0.9520),
}

# Columns over the six SNRs. Table II's headings are lost; its second and fourth column are those of Table IV.
TABLE_2: Mapping[str, Mapping[str, Column]] = {
    "nearest-fedavg": {
        "psnr_db": (25.9789, 26.7865, 27.4116, 27.8687, 28.1822, 28.3842),
        "ms_ssim": (0.8610, 0.8924, 0.9142, 0.9290, 0.9384, 0.9442),
    },
    "proposed-fedavg": FEDAVG,
    "nearest-fedavep": {
        "psnr_db": (26.2895, 27.1103, 27.7654, 28.2574, 28.6037, 28.8322),
        "ms_ssim": (0.8702, 0.8995, 0.9204, 0.9348, 0.9441, 0.9497),
    },
    "proposed-fedavep": FEDAVEP,
}
TABLE_4: Mapping[str, Mapping[str, Column]] = {
    "proposed-fedavg": FEDAVG,
    "proposed-fedavep": FEDAVEP,
    "proposed-fedindi": {
        "psnr_db": (26.2869, 27.1892, 27.9322, 28.4996, 28.9016, 29.1654),
        "ms_ssim": (0.8699, 0.9002, 0.9223, 0.9375, 0.9471, 0.9529),
    },
    "proposed-fedlol": {
        "psnr_db": (26.1658, 27.0594, 27.7492, 28.2569, 28.6119, 28.8483),
        "ms_ssim": (0.8658, 0.8973, 0.9184, 0.9323, 0.9415, 0.9473),
    },
    "semspacefl": {
        "psnr_db": (26.5537, 27.4709, 28.2221, 28.7840, 29.1735, 29.4237),
        "ms_ssim": (0.8773, 0.9066, 0.9267, 0.9400, 0.9481, 0.9527),
    },
}

# Mean frequency (GHz) and window (s) of satellites 0 to 9.
TABLE_3: Mapping[str, tuple[Column, Column]] = {
    "proposed": (
        (0.3664, 0.3708, 0.3732, 0.3636, 0.3741, 0.3768, 0.3931, 0.4054, 0.4024, 0.4000),
        (438, 426, 410, 447, 427, 413, 396, 391, 389, 386),
    ),
    "nearest": (
        (0.4197, 0.4256, 0.4236, 0.4030, 0.4133, 0.4109, 0.4127, 0.4221, 0.4174, 0.4207),
        (300, 294, 291, 343, 335, 333, 357, 356, 360, 342),
    ),
}

# Table V: training samples and mean epochs of satellites 0 to 9, by Dirichlet alpha (0.1 is recovered).
SAMPLES: Mapping[float, tuple[int, ...]] = {
    0.1: (93, 59, 305, 18, 215, 343, 382, 352, 183, 50),
    1.0: (283, 191, 128, 195, 136, 156, 234, 221, 294, 162),
    10.0: (191, 193, 202, 209, 181, 195, 195, 202, 185, 247),
}
EPOCHS: Mapping[float, Column] = {
    0.1: (16.1, 25.3, 4.3, 85.4, 6.5, 3.8, 3.2, 3.5, 7.1, 27.7),
    1.0: (4.9, 7.4, 11.0, 7.4, 10.6, 8.9, 5.5, 5.8, 4.3, 8.2),
    10.0: (7.6, 7.4, 6.9, 6.9, 7.8, 7.0, 6.7, 6.4, 7.1, 5.2),
}
