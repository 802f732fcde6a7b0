// Python's methods of str that search and split.
#pragma once

#include <string_view>

#include "common/jinja/callable.h"

namespace regatta::jinja {

// Null when there is no such method.
Builtin FindSearchMethod(std::string_view name);

}  // namespace regatta::jinja
