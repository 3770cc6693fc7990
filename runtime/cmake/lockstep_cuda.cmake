# SPDX-License-Identifier: Apache-2.0
# CUDA: found or not found; without it everything works, on CPUs. Sets LOCKSTEP_HAVE_CUDA and enables
# the language, so that runtime/ may list .cu files.
#
# One binary runs with and without a GPU, a driver and a toolkit. The CUDA runtime is linked
# statically and looks for the driver when it is first called. cuBLASLt, cuDNN and NCCL have no
# static form that everybody ships, and are hundreds of megabytes: a program that needed them would
# not start where they are missing. So their headers are needed to build, and the libraries are
# opened when they are first used (runtime/base/shared_library.hpp): by name, then along the
# program's run path, which is $ORIGIN/lib and the toolkit of the build. What is missing is then an
# error that names the library.
#
# AUTO builds for GPUs where nvcc works. The sanitizer presets say OFF: the CUDA runtime is closed
# code that they cannot see into.
set(LOCKSTEP_CUDA AUTO CACHE STRING "CUDA: AUTO (if it is there), ON (an error if not) or OFF")
set_property(CACHE LOCKSTEP_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT LOCKSTEP_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "LOCKSTEP_CUDA is '${LOCKSTEP_CUDA}': use AUTO, ON or OFF.")
endif()

# A100 and H100, and PTX that later GPUs compile when the program starts. `all-major` is CMake's word
# for every generation that the toolkit knows.
set(CMAKE_CUDA_ARCHITECTURES 80-real 90 CACHE STRING "GPU architectures: 80-real;90, all-major, native, ...")
if(NOT DEFINED CMAKE_CUDA_COMPILER_LAUNCHER AND CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})  # ccache knows nvcc as well
endif()

# Sets `why` nothing can be built for GPUs.
macro(lockstep_find_cuda why)
  include(CheckLanguage)
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(${why} "no CUDA toolkit was found (no working nvcc on the PATH, none below CUDAToolkit_ROOT)")
  elseif(CUDAToolkit_VERSION VERSION_LESS 12)
    set(${why} "the CUDA toolkit is ${CUDAToolkit_VERSION}, and 12 is the oldest that speaks C++20")
  else()
    lockstep_try_nvcc(${why})
  endif()
endmacro()

macro(lockstep_try_nvcc why)
  if(NOT CMAKE_CUDA_COMPILER)
    unset(CMAKE_CUDA_COMPILER CACHE)  # what is found may change between two runs of CMake
    set(ENV{CUDACXX} ${CUDAToolkit_NVCC_EXECUTABLE})
    check_language(CUDA)
  endif()
  if(NOT CMAKE_CUDA_COMPILER)
    set(${why} "the toolkit in ${CUDAToolkit_BIN_DIR} does not compile a small program")
  elseif(NOT TARGET CUDA::cublasLt)
    set(${why} "the toolkit in ${CUDAToolkit_BIN_DIR} has no cuBLASLt (Debian, Ubuntu: libcublas-dev)")
  endif()
endmacro()

set(LOCKSTEP_HAVE_CUDA OFF)
set(LOCKSTEP_HAVE_CUDNN OFF)
if(NOT LOCKSTEP_CUDA STREQUAL "OFF")
  set(lockstep_no_cuda "")
  lockstep_find_cuda(lockstep_no_cuda)
  if(NOT lockstep_no_cuda)
    enable_language(CUDA)
    set(LOCKSTEP_HAVE_CUDA ON)
    list(APPEND CMAKE_BUILD_RPATH $ORIGIN/lib ${CUDAToolkit_LIBRARY_DIR})
    find_package(NCCL QUIET)
    find_path(LOCKSTEP_CUDNN_INCLUDE_DIR cudnn_graph.h HINTS ${CUDAToolkit_INCLUDE_DIRS})
    mark_as_advanced(LOCKSTEP_CUDNN_INCLUDE_DIR)
    if(LOCKSTEP_CUDNN_INCLUDE_DIR)  # 9.8 and newer: plans for a GPU that is not here, which tests make
      file(STRINGS ${LOCKSTEP_CUDNN_INCLUDE_DIR}/cudnn_graph.h lines REGEX CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION)
      if(lines)
        set(LOCKSTEP_HAVE_CUDNN ON)
      endif()
    endif()
    message(STATUS "CUDA ${CUDAToolkit_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}, "
                   "NCCL ${NCCL_VERSION}, cuDNN's headers: ${LOCKSTEP_HAVE_CUDNN}")
  elseif(LOCKSTEP_CUDA STREQUAL "AUTO")
    message(STATUS "No CUDA: ${lockstep_no_cuda}")
  else()
    message(FATAL_ERROR "LOCKSTEP_CUDA=ON, but ${lockstep_no_cuda}. Load your cluster's "
                        "cuda module or set CUDAToolkit_ROOT; or build without (LOCKSTEP_CUDA=OFF).")
  endif()
endif()
