/*
 * A disk that takes its time: each fsync and fdatasync of the programs that preload this library begins DELAY_US
 * microseconds later. Compiled by slow-disk.ts.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

static void delay(void) {
  struct timespec left = {DELAY_US / 1000000, (DELAY_US % 1000000) * 1000L};
  while (nanosleep(&left, &left) != 0) {
  }
}

int fsync(int fd) {
  static int (*next)(int);
  if (next == 0) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
  delay();
  return next(fd);
}

int fdatasync(int fd) {
  static int (*next)(int);
  if (next == 0) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
  delay();
  return next(fd);
}
