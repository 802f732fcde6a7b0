// Sizes of memory in the unit that fits them.
#pragma once

#include <string>

namespace regatta {

// "312 B", "57.0 KiB", "11.5 MiB", "14.96 GiB": powers of 1024, never "0.00" for what is not zero.
std::string SizeText(double bytes);

}  // namespace regatta
