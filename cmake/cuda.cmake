# CUDA for the including folder, whose .cu files then compile alike.

# Machine code for Hopper with its own instructions, and one PTX for everything from Ampere on.
set(CMAKE_CUDA_ARCHITECTURES 80-virtual 90a-real)
set(CMAKE_CUDA_COMPILER_LAUNCHER ${CMAKE_CXX_COMPILER_LAUNCHER})
enable_language(CUDA)
find_package(CUDAToolkit 12.9 REQUIRED)

# The project's flags are the host compiler's; CMake 3.25 does not know C++20 of this nvcc.
function(regatta_cuda_sources NAME)
  set_target_properties(${NAME} PROPERTIES
    COMPILE_OPTIONS "-std=c++20;--expt-relaxed-constexpr" CUDA_STANDARD_REQUIRED OFF)
endfunction()
