# SPDX-License-Identifier: Apache-2.0
# Installed packages only; nothing is downloaded at configure time. A missing one is an error that
# names the Debian / Ubuntu package.

macro(lockstep_require name package)
  find_package(${name} ${ARGN})
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} was not found: install ${package} "
                        "(Debian, Ubuntu) or load your cluster's module, then configure again.")
  endif()
endmacro()

lockstep_require(MPI libopenmpi-dev COMPONENTS C)
lockstep_require(OpenMP g++ COMPONENTS CXX)
lockstep_require(Threads libc6-dev)
lockstep_require(spdlog libspdlog-dev CONFIG)
lockstep_require(tomlplusplus libtomlplusplus-dev CONFIG)
lockstep_require(nlohmann_json nlohmann-json3-dev CONFIG)
lockstep_require(CLI11 libcli11-dev CONFIG)

# One header of each MPI: the C++ bindings that some still ship are not wanted.
set_property(TARGET MPI::MPI_C APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS OMPI_SKIP_MPICXX MPICH_SKIP_MPICXX)

lockstep_require(PkgConfig pkg-config)
pkg_check_modules(HWLOC REQUIRED IMPORTED_TARGET hwloc)

if(LOCKSTEP_GEMM STREQUAL "onednn")
  lockstep_require(dnnl libdnnl-dev CONFIG)
elseif(LOCKSTEP_GEMM STREQUAL "cblas")
  lockstep_require(BLAS libopenblas-dev)
else()
  message(FATAL_ERROR "LOCKSTEP_GEMM is '${LOCKSTEP_GEMM}': use onednn or cblas.")
endif()
