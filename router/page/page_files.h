// The files of the chat page, as they are in router/page.
#pragma once

#include "absl/types/span.h"
#include "common/embedded_file.h"

namespace regatta {

absl::Span<const EmbeddedFile> PageFiles();

}  // namespace regatta
