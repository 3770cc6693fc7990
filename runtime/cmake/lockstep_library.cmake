# SPDX-License-Identifier: Apache-2.0

# What every target of ours is compiled with. nvcc takes a host compiler's options behind -Xcompiler.
add_library(lockstep_options INTERFACE)
target_compile_features(lockstep_options INTERFACE cxx_std_20)
function(lockstep_host_options)
  target_compile_options(lockstep_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:${ARGN}>)
endfunction()
# No trapping or errno from math: with them the compiler may not vectorize exp and sqrt loops.
lockstep_host_options(-Wall -Wextra -Wshadow -Werror -fno-math-errno -fno-trapping-math)
# False alarms of GCC 12: string concatenation (PR 105651), and with sanitizers its own <regex>.
lockstep_host_options($<$<CXX_COMPILER_ID:GNU>:-Wno-restrict>)
# Clang cannot vectorize every loop marked `omp simd` (maxima of floats): slower, not wrong.
lockstep_host_options($<$<CXX_COMPILER_ID:Clang>:-Wno-pass-failed>)
if(LOCKSTEP_ARCH)
  lockstep_host_options(-march=${LOCKSTEP_ARCH})
endif()
if(LOCKSTEP_SANITIZE)
  target_compile_options(lockstep_options INTERFACE -fsanitize=${LOCKSTEP_SANITIZE} -fno-omit-frame-pointer
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)  # GCC warns of the sanitizer's own code (bug 105562)
  target_link_options(lockstep_options INTERFACE -fsanitize=${LOCKSTEP_SANITIZE})
endif()
# -Wextra would warn of the code that nvcc makes of ours; relaxed constexpr lets kernels call what the
# standard library marks constexpr; lines are for compute-sanitizer and profilers. The standard is
# spelled out because CMake before 3.25.2 does not know that nvcc has it.
foreach(option -std=c++20 -Xcompiler=-Wall,-Werror "SHELL:-Werror all-warnings" --expt-relaxed-constexpr -lineinfo)
  target_compile_options(lockstep_options INTERFACE "$<$<COMPILE_LANGUAGE:CUDA>:${option}>")
endforeach()

# One target per folder. LINKS repeats that folder's row of tests/lint/layers.txt.
function(lockstep_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(lockstep_${name} STATIC ${ARG_SOURCES})
  target_include_directories(lockstep_${name} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(lockstep_${name} PUBLIC ${ARG_LINKS} PRIVATE lockstep_options ${ARG_PRIVATE_LINKS})

  # Every header must compile alone: `cmake --build ... --target lockstep_headers`.
  file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR} CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.hpp)
  set(units "")
  foreach(header IN LISTS headers)
    set(unit ${PROJECT_BINARY_DIR}/headers/${header}.cpp)
    file(CONFIGURE OUTPUT ${unit} CONTENT "#include \"${header}\"\n")
    list(APPEND units ${unit})
  endforeach()
  if(units)
    add_library(lockstep_${name}_headers OBJECT EXCLUDE_FROM_ALL ${units})
    target_link_libraries(lockstep_${name}_headers PRIVATE lockstep_${name} lockstep_options)
    if(NOT TARGET lockstep_headers)
      add_custom_target(lockstep_headers)
    endif()
    add_dependencies(lockstep_headers lockstep_${name}_headers)
  endif()
endfunction()
