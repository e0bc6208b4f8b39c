// What every program of the appliance does first: no core dumps, no tracing, no readable files by default.
#pragma once

#include <string>

namespace appliance {

void harden_process();

// The folder this program lies in: its siblings are started from there.
std::string program_folder();

// Writes "2026-11-23T16:20:00Z  text" to standard error, made printable.
void journal_line(const std::string& text);

}  // namespace appliance
