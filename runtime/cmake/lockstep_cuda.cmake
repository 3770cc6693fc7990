# SPDX-License-Identifier: Apache-2.0
# CUDA and NCCL: found or not found; without them everything works, on CPUs. Sets LOCKSTEP_HAVE_CUDA
# and LOCKSTEP_CUDART, the runtime library to link.
#
# AUTO is the default, also of the preset `release`: all it adds is the runtime library, linked
# statically, so the program starts on machines that have neither driver nor toolkit and says what
# GPUs it sees on those that do. Nothing is compiled by nvcc, so a broken nvcc breaks nothing; what
# counts is that a program links against the toolkit. The sanitizer presets say OFF: the library is
# closed code that they cannot see into.
set(LOCKSTEP_CUDA AUTO CACHE STRING "CUDA: AUTO (if it is there), ON (an error if not) or OFF")
set_property(CACHE LOCKSTEP_CUDA PROPERTY STRINGS AUTO ON OFF)
if(NOT LOCKSTEP_CUDA MATCHES "^(AUTO|ON|OFF)$")
  message(FATAL_ERROR "LOCKSTEP_CUDA is '${LOCKSTEP_CUDA}': use AUTO, ON or OFF.")
endif()

# Sets LOCKSTEP_CUDART, or `why` it cannot be used.
macro(lockstep_find_cudart why)
  find_package(CUDAToolkit QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(${why} "no CUDA toolkit was found (no working nvcc on the PATH, none below CUDAToolkit_ROOT)")
  else()
    set(LOCKSTEP_CUDART CUDA::cudart_static)
    if(NOT TARGET CUDA::cudart_static)  # some package managers leave the static library out
      set(LOCKSTEP_CUDART CUDA::cudart)
    endif()
    lockstep_try_cudart(${why})
  endif()
endmacro()

function(lockstep_try_cudart why)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LIBRARIES ${LOCKSTEP_CUDART})
  set(CMAKE_REQUIRED_QUIET ON)
  unset(LOCKSTEP_CUDART_LINKS CACHE)  # what is found may change between two runs of CMake
  check_cxx_source_compiles("
    #include <cuda_runtime_api.h>
    int main() { int n = 0; return cudaGetDeviceCount(&n); }" LOCKSTEP_CUDART_LINKS)
  if(NOT LOCKSTEP_CUDART_LINKS)
    set(${why} "the toolkit in ${CUDAToolkit_BIN_DIR} does not compile or link a small program" PARENT_SCOPE)
  endif()
endfunction()

set(LOCKSTEP_HAVE_CUDA OFF)
if(NOT LOCKSTEP_CUDA STREQUAL "OFF")
  set(lockstep_no_cuda "")
  lockstep_find_cudart(lockstep_no_cuda)
  if(NOT lockstep_no_cuda)
    set(LOCKSTEP_HAVE_CUDA ON)
    find_package(NCCL QUIET)  # nothing links it yet: collectives/backends/nccl will
    message(STATUS "CUDA ${CUDAToolkit_VERSION} (${LOCKSTEP_CUDART}), NCCL ${NCCL_VERSION}")
  elseif(LOCKSTEP_CUDA STREQUAL "AUTO")
    message(STATUS "No CUDA: ${lockstep_no_cuda}")
  else()
    message(FATAL_ERROR "LOCKSTEP_CUDA=ON, but ${lockstep_no_cuda}. Load your cluster's "
                        "cuda module or set CUDAToolkit_ROOT; or build without (LOCKSTEP_CUDA=OFF).")
  endif()
endif()
