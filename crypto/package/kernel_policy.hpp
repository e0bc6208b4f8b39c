// Whose signatures the Windows kernel takes on a driver, as Microsoft's pages say it: "Kernel-mode code signing policy",
// "Deprecation of Software Publisher Certificates". Judges a chain by where it ends; files and digests are verification.cpp's.
// For crypto/package only. docs/verification.md lists what it says.
#pragma once

#include <optional>
#include <vector>

#include "crypto/certificate.hpp"
#include "crypto/package/signature_verdict.hpp"

namespace package {

// Policy::kernel: the chain at the time of the timestamp, or at trust.time without one. A root is one of Microsoft's when it was
// given as trusted and has that name; without roots the names in the signature are all there is to go by, which is a warning.
void judge_kernel_chain(const crypto::Certificate& leaf, const std::vector<crypto::Certificate>& others, const Trust& trust,
                        std::optional<base::Time> timestamp, const Findings& report);

}  // namespace package
