// One serial device: hosts that call are served one after the other; a device that vanishes is tried again.
#pragma once

#include <filesystem>
#include <stop_token>

#include "appliance/courier/boxes.hpp"
#include "usb/serial/line.hpp"

namespace courier {

// Until stopped; with `once`, until the first host has left. The device may be a pattern: an adapter that comes back under
// another name is found again.
void watch_serial(const std::filesystem::path& device, const serial::LineSettings& settings, const Boxes& boxes, const Say& say,
                  bool once, const std::stop_token& stop);

// True when told to stop meanwhile.
bool wait_unless_stopped(const std::stop_token& stop, std::chrono::milliseconds time);

}  // namespace courier
