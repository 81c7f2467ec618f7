"""The parametric head: named latents -> a description of person, face, scene and accessories -> a rendered picture."""
