// Telling graphs by their kernels, and keeping executables; see graph_pool.h.
#include <cuda.h>

#include <vector>

#include "kernels/cuda/driver_function.h"
#include "kernels/cuda/graph_pool.h"

namespace regatta {
namespace {

constexpr size_t kMostUnused = 16;  // of about 1 MiB each

struct DriverFunctions {
  using GetParams = decltype(&cuGraphKernelNodeGetParams);
  using GetAttribute = decltype(&cuGraphKernelNodeGetAttribute);
  GetParams get_params = DriverFunction<GetParams>("cuGraphKernelNodeGetParams");
  GetAttribute get_attribute = DriverFunction<GetAttribute>("cuGraphKernelNodeGetAttribute");
};

// FNV-1a over whole words.
void AddTo(uint64_t& hash, uint64_t word) { hash = (hash ^ word) * 0x100000001b3ull; }

// Adds which kernel the node runs and in what clusters, which an update would change at the cost of
// slower kernels. False when it cannot be told.
bool AddKernel(const DriverFunctions& driver, cudaGraphNode_t node, uint64_t& hash) {
  CUDA_KERNEL_NODE_PARAMS params{};
  CUlaunchAttributeValue value{};
  if (driver.get_params(node, &params) != CUDA_SUCCESS ||
      driver.get_attribute(node, CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION, &value) != CUDA_SUCCESS) {
    return false;
  }
  AddTo(hash, reinterpret_cast<uintptr_t>(params.func));
  AddTo(hash, reinterpret_cast<uintptr_t>(params.kern));
  for (const unsigned side : {value.clusterDim.x, value.clusterDim.y, value.clusterDim.z}) {
    AddTo(hash, side);
  }
  return true;
}

// Of the nodes in their order; 0 when some cannot be told.
uint64_t KernelsOf(cudaGraph_t graph) {
  static const DriverFunctions driver;
  size_t count = 0;
  if (driver.get_params == nullptr || driver.get_attribute == nullptr ||
      cudaGraphGetNodes(graph, nullptr, &count) != cudaSuccess) {
    return 0;
  }
  std::vector<cudaGraphNode_t> nodes(count);
  if (cudaGraphGetNodes(graph, nodes.data(), &count) != cudaSuccess) return 0;
  uint64_t hash = 0xcbf29ce484222325ull;
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    if (cudaGraphNodeGetType(node, &type) != cudaSuccess) return 0;
    AddTo(hash, type);
    if (type == cudaGraphNodeTypeKernel && !AddKernel(driver, node, hash)) return 0;
  }
  return hash;
}

}  // namespace

GraphPool::~GraphPool() {
  for (const ExecutableGraph& unused : unused_) cudaGraphExecDestroy(unused.graph);
}

cudaError_t GraphPool::MakeExecutable(cudaGraph_t graph, ExecutableGraph& made) {
  made = {.kernels = KernelsOf(graph)};
  for (auto unused = unused_.begin(); unused != unused_.end(); ++unused) {
    if (unused->kernels != made.kernels) continue;
    cudaGraphExecUpdateResultInfo result{};
    if (cudaGraphExecUpdate(unused->graph, graph, &result) == cudaSuccess) {
      made = *unused;
      unused_.erase(unused);
      return cudaSuccess;
    }
    cudaGetLastError();  // of other edges, and as it was
  }
  return cudaGraphInstantiate(&made.graph, graph, 0);
}

void GraphPool::GiveBack(const ExecutableGraph& unused) {
  if (unused.kernels == 0) {
    cudaGraphExecDestroy(unused.graph);
    return;
  }
  unused_.push_front(unused);
  if (unused_.size() <= kMostUnused) return;
  cudaGraphExecDestroy(unused_.back().graph);
  unused_.pop_back();
}

}  // namespace regatta
