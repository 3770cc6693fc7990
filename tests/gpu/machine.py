# SPDX-License-Identifier: Apache-2.0
"""What this machine has of what the rows need, found without building anything."""

import ctypes
import datetime
import pathlib
import platform
import shutil
import subprocess


class Machine:
    def __init__(self, a):
        self.gpus, self.no_gpu = gpus()
        self.torch, self.no_torch = self.torch_of(a.torch_python)
        self.sanitizer = which("compute-sanitizer", "/usr/local/cuda/bin", "/usr/local/cuda/compute-sanitizer")
        self.cuda_folders = cuda_folders(a.torch_python)

    def torch_of(self, python):
        asks = "import torch; print(torch.__version__, torch.cuda.is_available())"
        done = subprocess.run([python, "-c", asks], capture_output=True, text=True)
        if done.returncode != 0:
            return None, f"{python} cannot import torch; see --torch-python"
        version, sees = done.stdout.split()
        return (version, None) if sees == "True" else (None, f"PyTorch {version} sees no GPU")

    def facts(self):
        return dict(date=datetime.date.today().isoformat(), processor=processor(), gpus=self.gpus,
                    no_gpu=self.no_gpu, pytorch=self.torch, compute_sanitizer=self.sanitizer)

    def title(self):
        gpu = ", ".join(self.gpus) or f"no GPU: {self.no_gpu}"
        return f"{datetime.date.today().isoformat()}, {gpu}; {processor()}"


def gpus():
    """Names of the GPUs that this process may use, and why there are none."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return [], "no driver (libcuda.so.1 is not here)"
    if code := driver.cuInit(0):
        return [], f"the driver does not start (cuInit: {code})"
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    names = []
    for i in range(count.value):
        name = ctypes.create_string_buffer(128)
        driver.cuDeviceGetName(name, 128, i)
        names.append(name.value.decode())
    return names, "" if names else "the driver knows no GPU"


def which(name, *folders):
    found = shutil.which(name)
    for folder in folders:
        found = found or shutil.which(name, path=folder)
    return found


def cuda_folders(python):
    """Where cuBLASLt, cuDNN and NCCL lie: the toolkit's, as new as our programs, and those that PyTorch brought along
    (many machines have no other)."""
    folders = []
    if nvcc := which("nvcc", "/usr/local/cuda/bin"):
        toolkit = pathlib.Path(nvcc).resolve().parents[1]
        folders += [str(toolkit / lib) for lib in ("lib64", "lib") if (toolkit / lib).is_dir()]
    asks = "import nvidia; print(*nvidia.__path__, sep='\\n')"
    found = subprocess.run([python, "-c", asks], capture_output=True, text=True).stdout.split()
    return folders + [str(lib) for path in found for lib in sorted(pathlib.Path(path).glob("*/lib"))]


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())
