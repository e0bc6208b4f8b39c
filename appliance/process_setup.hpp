// What every program of the appliance does first: no core dumps, no tracing, no readable files by default.
#pragma once

#include <filesystem>
#include <string>

#include "crypto/base/result.hpp"

namespace appliance {

void harden_process();

// As many open files as the system lets this process have, at most what the largest request needs.
void raise_open_files();

// Root becomes the owner of that folder, so that what it makes there can be read by the service that the folder belongs to. Nothing
// happens for others, or when root owns it. Errc::unavailable.
base::Result<void> become_owner_of(const std::filesystem::path& folder);

// The folder this program lies in: its siblings are started from there.
std::string program_folder();

// Writes "2026-11-23T16:20:00Z  text" to standard error, made printable.
void journal_line(const std::string& text);

}  // namespace appliance
