// The ceremony: one reviewed file becomes an appliance. It proves that the TPM is empty and suitable, makes indices, people
// and keys, lets the officers show that their quorum works and one less does not, closes the hierarchies for ever, and
// writes a transcript that anybody can check (coldseal verify-transcript). Each step says what it did and what people are
// to do; after a power cut the same command goes on where it was.
#pragma once

#include <filesystem>

#include "appliance/clock.hpp"
#include "appliance/configuration.hpp"
#include "appliance/layout.hpp"
#include "appliance/terminal.hpp"
#include "crypto/base/result.hpp"

namespace appliance {

base::Result<void> run_ceremony(const Layout& layout, const std::filesystem::path& file, Terminal& terminal, const Clock& clock);

}  // namespace appliance
