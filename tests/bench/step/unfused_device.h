// A device whose operations keep norms in kernels of their own, to measure what fusing them saves.
#pragma once

#include <memory>

#include "worker/device.h"

namespace regatta {

// `device` as it is, but for that; CPU ranks fuse nothing anyway.
std::unique_ptr<Device> WithoutFusedNorms(std::unique_ptr<Device> device);

}  // namespace regatta
