// Failures on demand: a script of rules, each an event, conditions on it and what then goes wrong. README.md has the
// language.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "driver/base.h"

namespace amlm::vgpu {

// How far a reset goes: one queue; the whole GPU (MODE2); the whole GPU, and contexts from before it are lost.
enum class Reset : u8 { queue, full, vram_lost };

struct Action {
  enum class Kind : u8 {
    fail,         // the call returns -error
    reset,        // another process's work hung: its reset reaches us
    gtt,          // other processes now hold `amount` bytes of GTT
    hang,         // our job hangs; the kernel resets so much
    soft,         // our job hangs and a soft recovery kills its waves
    stuck,        // our job never retires, and no timeout ends it
    page_fault,   // our job reads or writes where it may not, and hangs
    stall,        // our job takes `amount` ns more
  };
  Kind kind = Kind::fail;
  Reset reset = Reset::queue;
  int error = 0;             // positive
  u64 amount = 0;
  u64 address = 0;           // page_fault: where, or the offset in the buffer
  u32 buffer = 0;            // page_fault: handle of the buffer, 0 = none
  bool is_write = false;
  u32 line = 0;
};

// A call by its name in the ioctl table, OPEN, MMAP; JOB: one starts; DISPATCH: one starts.
struct ScriptEvent {
  const char* name;
  u64 busy_ns = 0;                  // modelled time that the GPU has worked
  std::string_view kernel = {};     // DISPATCH: its label
};

// Counts the event; what the rules say happens at it, in order of lines.
std::vector<Action> scripted(const ScriptEvent& event);

// Replaces the script by a text, or by a file's when it begins with @. False and *why (with the line) when it is not
// understood. The seed is for `chance` where the script names none; `after` counts from busy_ns.
struct ScriptStart { u64 seed = 0, busy_ns = 0; };
bool set_script(const std::string& text, const ScriptStart& start, std::string* why);

u64 script_hits();            // how often a rule has held since the script was set

// Of the ioctl table.
bool is_ioctl_name(std::string_view name);
// "NAME ERRNO ERRNO...\n" for each row, and for OPEN and MMAP: what the kernel can answer.
std::string ioctl_errors();

}  // namespace amlm::vgpu
