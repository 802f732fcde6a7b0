// Marks functions that CUDA code calls on both sides; nothing to other compilers.
#pragma once

#ifdef __CUDACC__
#define REGATTA_HOST_DEVICE __host__ __device__
#else
#define REGATTA_HOST_DEVICE
#endif
