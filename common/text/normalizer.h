// Unicode normalisation of text before it is tokenised.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/text/tokenizer_spec.h"

namespace regatta {

// Applies `forms` in order to `text` (valid UTF-8, below 2 GiB). Returns `text` itself when it is
// normalised already, else a view of `storage`, which receives the result. Linear in the text: a
// run of more than 512 combining marks is taken in parts, so their order is canonical within each
// only.
std::string_view Normalize(const std::vector<UnicodeForm>& forms, std::string_view text,
                           std::string& storage);

}  // namespace regatta
