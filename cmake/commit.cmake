# cmake -DSOURCE=... -DOUT=... -P commit.cmake: the commit of SOURCE as a source file, written only when it is another.
execute_process(COMMAND git -C ${SOURCE} describe --always --dirty --abbrev=12
  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(commit STREQUAL "")
  set(commit unknown)
endif()
set(text "#include \"common/version.h\"\nnamespace regatta {\nconst char* BuildCommit() { return \"${commit}\"; }\n}  // namespace regatta\n")
if(EXISTS ${OUT})
  file(READ ${OUT} before)
endif()
if(NOT text STREQUAL "${before}")
  file(WRITE ${OUT} "${text}")
endif()
