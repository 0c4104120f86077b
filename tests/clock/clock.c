/* Moves the clocks of the processes that load it first (LD_PRELOAD): adds to the wall clock and to the clock that counts from
 * the machine's start the offsets in a file, which SKERRY_TEST_CLOCK names: two 64-bit integers, nanoseconds. The file is mapped, so a
 * change is seen at once. Every other clock is the kernel's: timers run as always. See tests/src/clock.rs, which writes the file.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct offsets {
  int64_t wall;
  int64_t boot;
};

static const struct offsets *offsets;

__attribute__((constructor)) static void map_offsets(void) {
  const char *path = getenv("SKERRY_TEST_CLOCK");
  int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (file < 0)
    return;
  void *mapped = mmap(NULL, sizeof *offsets, PROT_READ, MAP_SHARED, file, 0);
  close(file);
  if (mapped != MAP_FAILED)
    offsets = mapped;
}

static int64_t offset_of(clockid_t clock) {
  if (!offsets)
    return 0;
  switch (clock) {
  case CLOCK_REALTIME:
  case CLOCK_REALTIME_COARSE:
    return __atomic_load_n(&offsets->wall, __ATOMIC_RELAXED);
  case CLOCK_BOOTTIME:
    return __atomic_load_n(&offsets->boot, __ATOMIC_RELAXED);
  default:
    return 0;
  }
}

int clock_gettime(clockid_t clock, struct timespec *time) {
  const int64_t second = 1000000000;
  if (syscall(SYS_clock_gettime, clock, time) != 0)
    return -1;
  int64_t offset = offset_of(clock);
  if (offset == 0)
    return 0;
  int64_t seconds = offset / second, rest = time->tv_nsec + offset % second;
  if (rest < 0 || rest >= second) {
    int64_t carry = rest < 0 ? -1 : 1;
    seconds += carry;
    rest -= carry * second;
  }
  time->tv_sec += seconds;
  time->tv_nsec = rest;
  return 0;
}

int gettimeofday(struct timeval *time, void *zone) {
  struct timespec now;
  (void)zone;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return -1;
  time->tv_sec = now.tv_sec;
  time->tv_usec = now.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *out) {
  struct timespec now;
  if (clock_gettime(CLOCK_REALTIME, &now) != 0)
    return -1;
  if (out)
    *out = now.tv_sec;
  return now.tv_sec;
}
